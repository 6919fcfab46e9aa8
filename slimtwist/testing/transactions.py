# -*- test-case-name: tests.testing.test_smarthost -*-
"""Mail transactions of a fake server: MAIL, RCPT, DATA and BDAT (RFC 5321 3.3, 3030, 2033)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from slimtwist.testing.exchange import ENDS, LONE, Exchange
from slimtwist.testing.steps import Stall, end_of_data, unstuffed

if TYPE_CHECKING:
    from slimtwist.testing.smarthost import CutAfter, FakeSmarthost

#: The extension without which a parameter of MAIL or RCPT is unknown.
_PARAMETERS: Final = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "REQUIRETLS": "REQUIRETLS",
    "AUTH": "AUTH",
    "RET": "DSN",
    "ENVID": "DSN",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
}
_PATH: Final = re.compile(
    r'(FROM|TO):<((?:"(?:[^"\\]|\\.)*"|[^"<> ])*)>((?: [^ ]+)*)', re.IGNORECASE
)


class Transactions(Exchange):
    """A connection's transactions.

    @ivar offered: the extensions that the client was told of, with their parameters; C{None}: it
        has not said hello.
    @ivar user: who has authenticated.
    @ivar sender: the mailbox of MAIL, in a transaction.
    @ivar recipients: the mailboxes accepted in it.
    """

    def __init__(self, host: FakeSmarthost) -> None:
        super().__init__(host)
        self._chunk = (0, False)
        self._cut: CutAfter | None = None
        self.user: str | None = None
        self.offered: dict[str, str] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin without a transaction."""
        self.sender: str | None = None
        self.recipients: list[str] = []
        self._text = bytearray()

    def mail(self, verb: str, argument: str) -> None:
        """Begin a transaction."""
        mailbox, default = self._path(verb, argument)
        if self.offered is None:
            default = "503 5.5.1 say hello first"
        elif self.sender is not None:
            self.fail("MAIL inside a transaction")
            default = "503 5.5.1 nested MAIL"
        elif self.host.users is not None and self.user is None:
            default = "530 5.7.0 authenticate first"
        if self.answer(verb, mailbox, default or "250 2.1.0 ok").startswith("2"):
            self.sender = mailbox

    def rcpt(self, verb: str, argument: str) -> None:
        """Accept a recipient."""
        mailbox, default = self._path(verb, argument)
        if self.sender is None:
            default = "503 5.5.1 MAIL first"
        if self.answer(verb, mailbox, default or "250 2.1.5 ok").startswith("2"):
            self.recipients.append(mailbox)

    def _path(self, verb: str, argument: str) -> tuple[str, str]:
        """Return the mailbox of MAIL or RCPT, and the refusal if something is wrong with it."""
        found = _PATH.fullmatch(argument)
        if found is None or (found[1].upper() == "FROM") != (verb == "MAIL"):
            self.fail(f"{verb} {argument!r} has no syntax")
            return argument, "501 5.5.4 syntax"
        for parameter in found[3].split():
            keyword, _, value = parameter.upper().partition("=")
            extension = _PARAMETERS.get(keyword, "")
            if extension not in (self.offered or {}):
                self.fail(f"{verb} with {parameter}, which was not offered")
                return found[2], "555 5.5.4 unknown parameter"
            if keyword == "SIZE" and self._too_large(int(value)):
                return found[2], "552 5.3.4 too large"
        return found[2], ""

    def _too_large(self, octets: int) -> bool:
        limit = (self.offered or {}).get("SIZE", "")
        return limit.isdigit() and 0 < int(limit) < octets

    def _ready(self) -> str:
        """Return why no message can be taken now, if so."""
        if self.sender is None:
            return "503 5.5.1 MAIL first"
        return "" if self.recipients else "554 5.5.1 no valid recipients"

    def data(self, verb: str, argument: str) -> None:
        """Ask for a message."""
        if self.answer(verb, argument, self._ready() or "354 go ahead") == "354":
            self.take = self._take_body
            self.seen = 0
            self._cut = self.host.cut_at("BODY")

    def _take_body(self) -> bool:
        """Take a message to its end (RFC 5321 4.5.2)."""
        if self._cut is not None and len(self.inbox) >= self._cut.octets:
            self.queue.extend([ENDS[self._cut.how], Stall()])
            return True
        end = end_of_data(self.inbox, self.seen)
        if end is None:
            self.seen = len(self.inbox)
            return False
        taken = bytes(self.inbox[: end + 3])
        del self.inbox[: end + 3]
        self.heard(b"[a message of %d octets]" % len(taken))
        if LONE.search(taken):
            self.fail("a lone CR or LF in the message")
        self.take = self.take_command
        self._deliver(unstuffed(taken[:-3]))
        return True

    def bdat(self, verb: str, argument: str) -> None:
        """Take a chunk of a message (RFC 3030)."""
        size, _, last = argument.upper().partition(" ")
        if "CHUNKING" not in (self.offered or {}) or not size.isdigit() or last not in {"", "LAST"}:
            self.fail(f"BDAT {argument!r} was not offered, or has no syntax")
            self.answer(verb, argument, "500 5.5.1 unknown command")
            return
        self._chunk = (int(size), last == "LAST")
        self.take = self._take_chunk

    def _take_chunk(self) -> bool:
        size, last = self._chunk
        if len(self.inbox) < size:
            return False
        self._text += self.inbox[:size]
        del self.inbox[:size]
        self.heard(b"[a chunk of %d octets]" % size)
        self.take = self.take_command
        refusal = self._ready()
        if last and not refusal:
            self._deliver(bytes(self._text))
        else:
            self.answer("BDAT", "", refusal or "250 2.0.0 ok")
        return True

    def _deliver(self, octets: bytes) -> None:
        """Answer for a message, and keep it for whom that accepts it."""
        default = "552 5.3.4 too large" if self._too_large(len(octets)) else "250 2.0.0 taken"
        if self.host.lhlo:
            answers = [(to, self.answer(".", to, default)) for to in self.recipients]
            accepted = [to for to, answered in answers if answered.startswith("2")]
        else:
            answered = self.answer(".", "", default)
            accepted = self.recipients if answered.startswith("2") else []
        if accepted:
            self.host.accept(self.sender or "", accepted, octets)
        self.forget()
