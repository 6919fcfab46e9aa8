# -*- test-case-name: tests.test_address -*-
"""Mailboxes as they may be put on the wire.

An L{Address} is checked once, when it is built, and never changed: what was given goes out, octet
for octet, or is refused.  It does not decide where mail goes; that is a relay's business.

Sources: RFC 5321 4.1.2 and 4.1.3 (grammar), 4.5.3.1 (lengths), RFC 6531 3.3 (UTF-8), RFC 3461 4
(DSN).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: RFC 5321 4.5.3.1.3: a path has 256 octets, of which the angle brackets are two.
LONGEST_ADDRESS: Final = 254

_LOCAL = rb"""[-!#$%&'*+/=?^_`{|}~0-9A-Za-z.\x80-\xff]+ | "(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*" """
_LABEL = rb"(?!-)[-_0-9A-Za-z\x80-\xff]+(?<!-)"
# RFC 5321 4.1.3 allows more behind a tag, among it C{>} and C{@}; but no tag is registered, and
# these end a path, or begin another domain, for whoever reads less closely.
_LITERAL = rb"\[[-!#$%&'*+./0-9:=?A-Z^_`a-z{|}~]+\]"
_MAILBOX: Final = re.compile(
    rb"(?:(?:" + _LOCAL + rb")@(?:" + _LABEL + rb"(?:\." + _LABEL + rb")*|" + _LITERAL + rb"))\Z",
    re.VERBOSE,
)
#: RFC 3461 4.2: an address type, a semicolon, and the address in xtext.
_ORCPT: Final = re.compile(r"[-0-9A-Za-z]+;(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")
_NOTIFY: Final = frozenset({"NEVER", "SUCCESS", "FAILURE", "DELAY"})


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox, or the null sender.

    Local parts keep their case, quotes and dots; lengths of local parts are not limited apart from
    the whole, since rewritten senders (SRS, VERP) exceed the 64 octets that RFC 5321 guarantees.

    @ivar octets: what stands between C{<} and C{>}; empty for the null sender.
    @raise ValueError: it is not a mailbox of RFC 5321 or RFC 6531.
    """

    octets: bytes

    def __post_init__(self) -> None:
        """Refuse everything that could be read as something else by another program."""
        octets = self.octets
        if not octets or octets.lower() == b"postmaster":  # RFC 5321 4.1.1.3: without a domain
            return
        if len(octets) > LONGEST_ADDRESS:
            raise ValueError(f"address of {len(octets)} octets, at most {LONGEST_ADDRESS} fit")
        if not _MAILBOX.match(octets):
            raise ValueError(f"address {ascii(octets)[1:]} is not local-part@domain")
        if not octets.isascii():
            _check_text(octets)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that is written as C{text}, without angle brackets.

        @raise ValueError: it is not a mailbox, or the empty text of the null sender.
        """
        try:
            return cls(text.encode())
        except UnicodeEncodeError as error:
            raise ValueError(f"address {text[:80]!a} is not Unicode text") from error

    @property
    def local(self) -> str:
        """The part before the last C{@}, as it was given."""
        return str(self).rpartition("@")[0] if b"@" in self.octets else str(self)

    @property
    def domain(self) -> str:
        """The part after the last C{@}, as it was given; empty where there is none."""
        return self.octets.rpartition(b"@")[2].decode() if b"@" in self.octets else ""

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a host with SMTPUTF8 (RFC 6531) can be told of it."""
        return not self.octets.isascii()

    def __str__(self) -> str:
        """Return the address as text, without angle brackets."""
        return self.octets.decode()

    def __bool__(self) -> bool:
        """Tell whether it is anything but the null sender."""
        return bool(self.octets)


def _check_text(octets: bytes) -> None:
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"address {ascii(octets)[1:]} is not UTF-8") from error
    # Controls of C1, line and paragraph separators and directional marks forge log lines.
    if not text.isprintable():
        raise ValueError(f"address {text!a} holds characters that cannot be shown")


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a message is for, and what its sender wants to hear about it (RFC 3461).

    @ivar address: a mailbox, never null.
    @ivar notify: the words of NOTIFY in upper case; empty when nothing was asked for.
    @ivar orcpt: the value of ORCPT, in xtext as it was received.
    @raise ValueError: a part is not as RFC 3461 wants it.
    """

    address: Address
    notify: tuple[str, ...] = ()
    orcpt: str | None = None

    def __post_init__(self) -> None:
        """Check the parameters of RFC 3461."""
        if not self.address:
            raise ValueError("a recipient cannot be the null address")
        if not _NOTIFY.issuperset(self.notify) or len(set(self.notify)) != len(self.notify):
            raise ValueError(f"NOTIFY={','.join(self.notify)!a} is not of distinct known words")
        if "NEVER" in self.notify and len(self.notify) > 1:
            raise ValueError("NOTIFY=NEVER stands alone (RFC 3461 4.1)")
        if self.orcpt is not None and not (len(self.orcpt) <= 500 and _ORCPT.match(self.orcpt)):
            raise ValueError(f"ORCPT={self.orcpt[:80]!a} is not type;xtext")

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """Return a recipient without DSN parameters. Raises ValueError like L{Address.parse}."""
        return cls(Address.parse(text))
