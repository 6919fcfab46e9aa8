# -*- test-case-name: tests.policy.test_headers -*-
"""Policies that put header fields on top of a message.

The same message gets the same fields in each attempt.

Sources: RFC 5322 2.2, 3.6.1 and 3.6.4; RFC 6409 8 (a submission server may add both).
"""

from __future__ import annotations

import re
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelayPolicy
from slimtwist.relay.dress import fields
from slimtwist.runtime import Runtime, default_runtime, ehlo_name

_NAME: Final = re.compile(r"[!-9;-~]+\Z")
#: RFC 5322 2.1.1: a line has 998 octets at most.
_LONGEST: Final = 998


@implementer(IRelayPolicy)
class AddHeader:
    """Puts one field on top of every message, whether it has such a field or not."""

    def __init__(self, name: str, value: str) -> None:
        """Keep the field.

        @param name: of the field.
        @param value: visible ASCII and spaces.
        @raise ValueError: they make no field in one line.
        """
        if not _NAME.match(name):
            raise ValueError(f"{name[:80]!a} is not the name of a header field")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name}: {value[:80]!a} is not of visible ASCII")
        if len(name) + 2 + len(value) > _LONGEST:
            raise ValueError(f"{name}: the field has more than {_LONGEST} octets")
        self._line = f"{name}: {value}\r\n".encode("ascii")

    def apply(self, envelope: Envelope) -> Envelope:
        """Add it. See L{IRelayPolicy.apply}."""
        return replace(envelope, content=envelope.content.under(self._line))

    def __repr__(self) -> str:
        """Tell the field, for operators."""
        return f"<AddHeader {self._line!r}>"


@implementer(IRelayPolicy)
class AddDateHeader:
    """Puts a C{Date} on top of a message that has none: that of its coming in."""

    def __init__(self, *, runtime: Runtime | None = None) -> None:
        """Take the clock.

        @param runtime: says the time, where an envelope does not; C{None} for the process's.
        """
        self._clock = (runtime or default_runtime()).reactor

    def apply(self, envelope: Envelope) -> Envelope:
        """Add it, if need be. See L{IRelayPolicy.apply}."""
        if fields(envelope.content, "Date"):
            return envelope
        when = self._clock.seconds() if envelope.received is None else envelope.received
        return AddHeader("Date", f"{formatdate(when)[:-5]}+0000").apply(envelope)


@implementer(IRelayPolicy)
class AddMessageIdHeader:
    """Puts a C{Message-ID} on top of a message that has none: made of its id and a host name."""

    def __init__(self, hostname: str | None = None, *, runtime: Runtime | None = None) -> None:
        """Take the name.

        @param hostname: stands behind the C{@}; C{None} for the runtime's.
        @param runtime: C{None} for that of the process.
        @raise ValueError: the host name cannot be one.
        """
        self._hostname = ehlo_name(hostname or (runtime or default_runtime()).hostname)

    def apply(self, envelope: Envelope) -> Envelope:
        """Add it, if need be. See L{IRelayPolicy.apply}."""
        if fields(envelope.content, "Message-ID"):
            return envelope
        return AddHeader("Message-ID", f"<{envelope.id}@{self._hostname}>").apply(envelope)
