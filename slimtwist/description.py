# -*- test-case-name: tests.test_description -*-
"""The grammar of relay descriptions, as operators write them.

On the command line they look like this::

    smtp:smarthost.example.com:port=587
    smtp:[2001:db8::1]:port=25
    http://example.com:8025/messages/

A word, then arguments between colons, with or without a name.  A backslash takes the next character
literally, brackets protect the colons inside them, and a bare URL is one argument.  Brackets nest,
so that a description can be an argument of another one::

    fallback:[smtp:[2001:db8::1]:port=587]:[smtp:backup.example.com]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

#: For errors that a forgotten pair of brackets leads to.
COLON_HINT: Final = " (a colon within one needs brackets around it or a backslash before)"
_BRACKET: Final = re.compile(r"\\.|(?P<open>\[)|(?P<close>\])", re.DOTALL)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_RELAY_NAME: Final = re.compile(r"[a-z][-_.0-9a-z]*\Z")


@dataclass(frozen=True, slots=True)
class Description:
    """A description taken apart.

    @ivar prefix: names the plugin.
    @ivar args: the arguments without a name.
    @ivar kwargs: those with one.
    """

    prefix: str
    args: tuple[str, ...] = ()
    kwargs: dict[str, str] = field(default_factory=dict)


def parse_description(text: str) -> Description:
    """Take a description apart.

    @raise ValueError: it is not of the grammar; the text names the part at fault.
    """
    prefix, _, rest = text.partition(":")
    if not is_prefix(prefix):
        raise ValueError(f"{text!r} does not begin with the name of a relay and a colon")
    if rest.startswith("//"):
        return Description(prefix, (text,))
    if not rest:
        return Description(prefix)
    args: list[str] = []
    kwargs: dict[str, str] = {}
    for name, value in _arguments(rest):
        if name is None:
            if kwargs:
                said = "has no name but stands behind arguments that have one"
                raise ValueError(f"{value!r} {said}{COLON_HINT}")
            args.append(value)
        elif name in kwargs:
            raise ValueError(f"argument {name!r} is given twice")
        else:
            kwargs[name] = value
    return Description(prefix, tuple(args), kwargs)


def _arguments(text: str) -> list[tuple[str | None, str]]:
    """Split at colons outside of brackets, and each part at its first equals sign."""
    found: list[tuple[str | None, str]] = []
    name, value = None, ""
    if re.search(r"(?<!\\)(?:\\\\)*\\\Z", text):
        raise ValueError(f"{text!r} ends with a backslash that takes nothing")
    for chunk, literal in _chunks(text):
        if chunk == ":" and not literal:
            found.append((name, value))
            name, value = None, ""
        elif chunk == "=" and not literal and name is None and _NAME.match(value):
            name, value = value, ""
        else:
            value += chunk
    return [*found, (name, value)]


def _chunks(text: str, *, escapes: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield what a text is made of, and of each chunk whether it means nothing but itself.

    @param escapes: whether a backslash has a meaning outside of brackets.
    """
    pairs, at = _bracketed(text), 0
    while at < len(text):
        escaped = escapes and text[at] == "\\"
        end = pairs.get(at, at + 1 + escaped)
        yield text[at + escaped : end], escaped or at in pairs
        at = end


def _bracketed(text: str) -> dict[int, int]:
    """Return where each pair of brackets begins and ends; one without its other is not among them.

    An escape within a pair is kept for whoever takes apart what the pair holds.
    """
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for token in _BRACKET.finditer(text):
        if token["open"]:
            opened.append(token.start())
        elif token["close"] and opened:
            pairs[opened.pop()] = token.end()
    return pairs


def unbracketed(text: str) -> str:
    """Return a text without the brackets around it, if it has them."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def listed(text: str) -> list[str]:
    """Return what stands between commas outside of brackets."""
    found = [""]
    for chunk, literal in _chunks(text, escapes=False):
        if chunk == "," and not literal:
            found.append("")
        else:
            found[-1] += chunk
    return found


def is_prefix(text: str) -> bool:
    """Tell whether a description can begin with a word."""
    return bool(_PREFIX.match(text))


def is_relay_name(text: str) -> bool:
    """Tell whether a text can be a name that somebody gives to a relay."""
    return bool(_RELAY_NAME.match(text))


def number(name: str, text: str, *, least: int = 0, most: int = 65535) -> int:
    """Return a whole number that was given as the argument C{name}.

    @raise ValueError: it is none, or out of range.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise ValueError(f"{name}={text!r} is not a whole number from {least} to {most}")
    return int(text)


def seconds(name: str, text: str) -> float:
    """Return a time that was given as the argument C{name}. Raises ValueError unless above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e9:
        raise ValueError(f"{name}={text!r} is not a number of seconds")
    return value


def switch(name: str, text: str) -> bool:
    """Return a yes or no that was given as the argument C{name}. Raises ValueError otherwise."""
    if text not in ("yes", "no"):
        raise ValueError(f"{name}={text!r} is neither yes nor no")
    return text == "yes"
