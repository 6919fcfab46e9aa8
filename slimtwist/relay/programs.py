# -*- test-case-name: tests.relay.test_programs -*-
"""The relays to programs that descriptions name: C{pipe:}, C{maildrop:}, C{dovecot-lda:}.

Every function C{parse_...} is what L{IRelayPlugin.parse<slimtwist.interfaces.IRelayPlugin.parse>}
says, and is named in ``twisted/plugins/slimtwist_relay.py``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from slimtwist.description import number, seconds, switch
from slimtwist.interfaces import IRelay
from slimtwist.relay.child import Child
from slimtwist.relay.dress import Dress
from slimtwist.relay.pipe import DovecotLdaRelay, MaildropRelay, PipeRelay
from slimtwist.relay.template import Template
from slimtwist.relay.template import command as read_command
from slimtwist.runtime import Runtime

Maker = Callable[[str, str], Any]


def _word(_: str, text: str) -> str:
    return text


def _words(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{name}={text!r}: {error}") from error


def _at_once(name: str, text: str) -> int:
    return number(name, text, least=1)


def _variables(name: str, text: str) -> dict[str, str]:
    """Return variables: C{NAME=VALUE}, or C{NAME} for one that the daemon itself has."""
    found = {}
    for word in _words(name, text):
        variable, equals, value = word.partition("=")
        if equals or variable in os.environ:
            found[variable] = value if equals else os.environ[variable]
    return found


def _pairs(name: str, text: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in text.split(",")]
    if not all(key and equals and value for key, equals, value in pairs):
        raise ValueError(f"{name}={text!r} is not of the form NAME=VALUE,NAME=VALUE")
    return {key: value for key, _, value in pairs}


def _statuses(name: str, text: str) -> dict[int, str]:
    pairs = _pairs(name, text).items()
    return {number(name, status, most=255): code for status, code in pairs}


def _limits(name: str, text: str) -> dict[str, int]:
    pairs = _pairs(name, text).items()
    return {limit: number(name, value, most=1 << 62) for limit, value in pairs}


def _umask(name: str, text: str) -> int:
    if not (text and len(text) <= 4 and set(text) <= set("01234567")):
        raise ValueError(f"{name}={text!r} is not an octal number such as 077")
    return int(text, 8)


#: What each argument is made of its text by: those of L{PipeRelay} itself,
_RELAY: Final[Mapping[str, Maker]] = {
    "timeout": seconds,
    "per_recipient": switch,
    "concurrency": _at_once,
    "leading_dash": switch,
    "require_full_read": switch,
    "exit_codes": _statuses,
}
#: those of L{Dress},
_DRESS: Final[Mapping[str, Maker]] = {
    "eol": _word,
    "from_line": switch,
    "return_path": switch,
    "delivered_to": switch,
    "x_original_to": switch,
}
#: and those of L{Child}.
_CHILD: Final[Mapping[str, Maker]] = {
    "environment": _variables,
    "directory": _word,
    "umask": _umask,
    "limits": _limits,
    "user": _word,
    "group": _word,
    "allow_root": switch,
}
#: All of them.
ARGUMENTS: Final = (*_RELAY, *_DRESS, *_CHILD)


def parse_pipe(runtime: Runtime, *, command: str, **arguments: str) -> IRelay:
    """Build a relay to a program. See L{PipeRelay}.

    @param command: is split once, by the rules of shells.
    @param arguments: of L{ARGUMENTS}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    words = _words("command", command)
    with _naming("command"):
        read_command(words)
    return PipeRelay(words, **_running(runtime, arguments, eol="crlf"))


def parse_maildrop(
    runtime: Runtime, *, path: str | None = None, extra_args: str = "", **arguments: str
) -> IRelay:
    """Build a relay to maildrop. See L{MaildropRelay}.

    @param arguments: of L{ARGUMENTS}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    more = _further(path, extra_args)
    running = _running(runtime, arguments, eol="lf")
    return MaildropRelay(path, extra_args=more, **running)


def parse_dovecot_lda(
    runtime: Runtime, *, path: str | None = None, extra_args: str = "", **arguments: str
) -> IRelay:
    """Build a relay to Dovecot's local delivery agent. See L{DovecotLdaRelay}.

    @param arguments: of L{ARGUMENTS}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    more = _further(path, extra_args)
    running = _running(runtime, arguments, eol="lf")
    return DovecotLdaRelay(path, extra_args=more, **running)


def _further(path: str | None, extra_args: str) -> list[str]:
    """Return further arguments of a program.

    @raise ValueError: they are wrong, or the path is; the text names the argument.
    """
    if path is not None:
        with _naming("path"):
            read_command([path])
    words = _words("extra_args", extra_args)
    with _naming("extra_args"):
        for word in words:
            Template.parse(word)
    return words


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _running(runtime: Runtime, given: Mapping[str, str], *, eol: str) -> dict[str, Any]:
    """Return keyword arguments of L{PipeRelay}, for arguments of a description."""
    if unknown := given.keys() - {*ARGUMENTS}:
        known = ", ".join(ARGUMENTS)
        raise ValueError(f"unknown argument {min(unknown)!r}; beside its own there are {known}")
    return {
        "runtime": runtime,
        "dress": Dress(**{"eol": eol, **_made(_DRESS, given)}),
        "child": Child(**_made(_CHILD, given)),
        **_made(_RELAY, given),
    }


def _made(makers: Mapping[str, Maker], given: Mapping[str, str]) -> dict[str, Any]:
    return {name: make(name, given[name]) for name, make in makers.items() if name in given}
