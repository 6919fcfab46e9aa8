# -*- test-case-name: tests.relay.test_template -*-
"""Arguments of a command, with names in braces for what differs from message to message.

A template is read when it is configured and knows names only: no attributes, no formats.  Values
are put in once, as they are; nothing in them is looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

#: What a name stands for.
NAMES: Final = {
    "sender": "the sender's address; empty for the null sender",
    "recipient": "the recipient's address",
    "localpart": "what stands before its last @",
    "domain": "what stands behind it",
    "extension": "what stands behind the first + of the local part",
    "message_id": "the value of the Message-ID field",
    "client_ip": "the address of the client that sent the message",
    "client_host": "the name of that address",
    "client_ehlo": "the name that the client gave itself",
    "client_protocol": "how it sent the message: ESMTPS, for one",
    "client_auth": "who it said it was, and proved",
    "envelope_id": "the name of the message in our logs",
}
#: Linux takes no longer argument (MAX_ARG_STRLEN), its NUL included.
_LONGEST: Final = 131071
#: Programs that read what stands behind C{-c} as a script.
_SHELLS: Final = frozenset(
    {"sh", "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "tcsh", "zsh"}
)
_SCRIPT_NEXT: Final = re.compile(r"-[A-Za-z]*c[A-Za-z]*\Z", re.ASCII)
_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class UnfitValue(Exception):
    """A value cannot stand in an argument.

    @ivar reply: the refusal of the recipient, in one line.
    """

    def __init__(self, reply: str) -> None:
        """Say it as a reply."""
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Template:
    """One argument.

    @ivar text: as it was configured.
    @ivar pieces: literal texts, and names as one-tuples.
    """

    text: str
    pieces: tuple[str | tuple[str], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template; doubled braces stand for single ones.

        @raise ValueError: a brace is alone, a name unknown, or there is a NUL.
        """
        if "\0" in text:
            raise ValueError(f"argument {text!r} holds a NUL")
        return cls(text, tuple(_piece(text, match) for match in _PIECE.finditer(text)))

    @property
    def names(self) -> frozenset[str]:
        """The names that it needs."""
        return frozenset(piece[0] for piece in self.pieces if isinstance(piece, tuple))

    def fill(self, values: Mapping[str, str], *, leading_dash: bool = False) -> bytes:
        """Return the argument, in UTF-8.

        @param values: for all names.
        @param leading_dash: a value may make it begin with C{-}, as an option does.
        @raise UnfitValue: it cannot be given to a program.
        """
        parts = [piece if isinstance(piece, str) else values[piece[0]] for piece in self.pieces]
        argument = "".join(parts)
        if argument.startswith("-") and not self.text.startswith("-") and not leading_dash:
            raise UnfitValue("550 5.1.3 the address could be taken for an option of a program")
        return _octets(argument)


def _octets(argument: str) -> bytes:
    try:
        octets = argument.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UnfitValue("550 5.1.3 a value is not Unicode text") from error
    if b"\0" in octets:
        raise UnfitValue("550 5.1.3 a NUL cannot be given to a program")
    if len(octets) > _LONGEST:
        raise UnfitValue("552 5.3.4 an argument of the program would be too long")
    return octets


def _piece(text: str, match: re.Match[str]) -> str | tuple[str]:
    piece, name = match[0], match[1]
    if piece in ("{{", "}}"):
        return piece[0]
    if name is None and piece in ("{", "}"):
        raise ValueError(f"argument {text!r} has a brace alone; write it twice to mean itself")
    if name is None:
        return piece
    if name not in NAMES:
        raise ValueError(f"argument {text!r}: no {{{name}}}; there are {', '.join(NAMES)}")
    return (name,)


def command(words: Sequence[str]) -> tuple[Template, ...]:
    """Read a command: its program first, which has no names in it.

    @raise ValueError: it is empty, the program has a name, an argument is malformed, or the script
        of a shell has a name in it.
    """
    templates = tuple(Template.parse(word) for word in words)
    if not templates or not words[0]:
        raise ValueError("a command needs a program")
    if templates[0].names:
        raise ValueError(f"program {words[0]!r} would differ from message to message")
    _refuse_scripts(templates)
    return templates


def _refuse_scripts(templates: Sequence[Template]) -> None:
    """Refuse names in a script: a shell would read their values as a part of it."""
    shell = False
    for option, script in pairwise(templates):
        shell |= option.text.rpartition("/")[2] in _SHELLS
        if shell and _SCRIPT_NEXT.match(option.text) and script.names:
            raise ValueError(
                f"script {script.text!r} has names in it, which a shell would read; give them"
                " behind it, and it finds them as $1, $2 ..."
            )
