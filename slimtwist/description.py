# -*- test-case-name: tests.test_description -*-
"""The grammar of relay descriptions, as operators write them.

On the command line they look like this::

    smtp:smarthost.example.com:port=587
    smtp:[2001:db8::1]:port=25
    http://example.com:8025/messages/

A word, then arguments between colons, with or without a name.  A backslash takes the next character
literally, brackets protect the colons inside them, and a bare URL is one argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(r"\\(?P<escaped>.)|(?P<bracketed>\[[^\]]*\])|(?P<char>.)", re.DOTALL)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9+.-]*\Z")


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
    if not _PREFIX.match(prefix):
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
                raise ValueError(f"{value!r} has no name but stands behind arguments that have one")
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
    for token in _TOKEN.finditer(text):
        char = token["char"]
        if char == ":":
            found.append((name, value))
            name, value = None, ""
        elif char == "=" and name is None and _NAME.match(value):
            name, value = value, ""
        else:
            value += token["escaped"] or token["bracketed"] or char
    return [*found, (name, value)]


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
