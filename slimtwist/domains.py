# -*- test-case-name: tests.test_domains -*-
"""Domains as they are compared, and tables of what belongs to a domain or to all below one.

Sources: RFC 5321 2.4 (case), RFC 5890 2.3.2 (A-labels).
"""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar

import idna

_T = TypeVar("_T")
_DOMAIN: Final = re.compile(r"(?:(?!-)[-_0-9a-z]{1,63}(?<!-)(?:\.(?!\Z)|\Z))+\Z|\[[!-Z^-~]+\]\Z")
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[!-\-/-~]{1,63}(?:\.[!-\-/-~]{1,63})*\Z")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[-_0-9a-z]{1,63}(?<!-)(?:\.(?!\Z)|\Z))+\Z")


def is_name(text: str) -> bool:
    """Tell whether there can be such a name in the domain name system (RFC 1035 2.3.4)."""
    return bool(_NAME.match(text))


def is_host(text: str) -> bool:
    """Tell whether a name can be a host's (RFC 1123 2.1); many have an underscore all the same."""
    return bool(_HOST.match(text))


def a_label(domain: str) -> str:
    """Return a domain as it is asked for and compared: ASCII, in lower case.

    @raise ValueError: it has no such form (RFC 5891).
    """
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"{domain!a} is no internationalised domain name") from error


class DomainTable(Generic[_T]):
    """What belongs to domains: to one (C{example.com}), or to all below one (C{*.example.com})."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._entries: dict[str, _T] = {}

    def put(self, pattern: str, value: _T) -> None:
        """Let a value belong to a domain, or to all domains below one.

        @raise ValueError: the pattern is neither; the text names it.
        """
        name = a_label(pattern.removeprefix("*."))
        if not _DOMAIN.match(name):
            raise ValueError(f"{pattern!r} is not a domain, nor '*.' and a domain")
        self._entries[f"*.{name}" if pattern.startswith("*.") else name] = value

    def get(self, domain: str) -> _T | None:
        """Return what belongs to a domain; the longest pattern that fits decides."""
        try:
            name = a_label(domain)
        except ValueError:
            return None
        if name in self._entries:
            return self._entries[name]
        while name := name.partition(".")[2]:
            if f"*.{name}" in self._entries:
                return self._entries[f"*.{name}"]
        return None

    def __bool__(self) -> bool:
        """Tell whether anything is in it."""
        return bool(self._entries)
