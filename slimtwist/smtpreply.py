# -*- test-case-name: tests.test_smtpreply -*-
"""The field C{X-Smtp-Reply}: an SMTP reply in an HTTP response.

It looks like this::

    X-Smtp-Reply: 550; message="5.1.1 No such user"; command="RCPT"

The form is that of python-slimta's HTTP edge.  Values are quoted strings of RFC 9110 5.6.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from slimtwist.reply import Reply, printable

#: Characters of such a field that are looked at.
_LONGEST: Final = 8192
_CODE: Final = re.compile(r"\s*([245]\d\d)\s*(?=;|\Z)", re.ASCII)
_PARAMETER: Final = re.compile(
    r';\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))\s*(?=;|\Z)', re.ASCII
)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """What such a field says.

    @ivar reply: the reply.
    @ivar command: the command that it answers, if this is said.
    """

    reply: Reply
    command: str | None = None

    @classmethod
    def parse(cls, field: str) -> SmtpReply | None:
        """Return what a field says, or nothing if it is none of the form.

        @param field: as it was received; whatever is in it becomes printable.
        """
        match = _CODE.match(field[:_LONGEST])
        if match is None or len(field) > _LONGEST:
            return None
        values: dict[str, str] = {}
        at = match.end()
        while at < len(field):
            parameter = _PARAMETER.match(field, at)
            if parameter is None:
                return None
            name, quoted, plain = parameter.groups(default="")
            values.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) or plain)
            at = parameter.end()
        message = printable(values.get("message", ""))
        reply = Reply.received(f"{match[1]} {message}".encode())
        command = printable(values["command"])[:40] if "command" in values else None
        return cls(reply, command)

    def format(self) -> str:
        """Return the field's value: ASCII, without a line end."""
        reply = self.reply
        text = f"{reply.enhanced} {reply.text}".strip()
        field = f"{reply.code}; message={_quoted(text)}"
        return field if self.command is None else f"{field}; command={_quoted(self.command)}"


def _quoted(text: str) -> str:
    ascii_text = text.encode("ascii", "replace").decode()
    return '"' + re.sub(r'(["\\])', r"\\\1", ascii_text) + '"'
