# -*- test-case-name: tests.test_sources -*-
"""Where connections come from: source addresses, of the family that is connected to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from itertools import cycle

from slimtwist.dial import SourceChooser


def source_chooser(source_ips: str | Sequence[str] | Callable[[str], str | None]) -> SourceChooser:
    """Return what chooses the source address of a connection.

    @param source_ips: an address or several, of either family, taken in turn; or a callable of the
        address that is connected to.  Where none is of its family, the system chooses.
    @raise ValueError: one is not an IP address.
    """
    if callable(source_ips):
        return source_ips
    given = [source_ips] if isinstance(source_ips, str) else list(source_ips)
    turns = {
        version: cycle([each for each in given if ip_address(each).version == version] or [None])
        for version in (4, 6)
    }
    return lambda address: next(turns[ip_address(address).version])
