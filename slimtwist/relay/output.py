# -*- test-case-name: tests.relay.test_output -*-
"""What a program has printed: the beginning and the end of it, however much it was."""

from __future__ import annotations

from typing import Final

#: Octets that are kept of the beginning, and of the end.
KEPT: Final = 2048


class Output:
    """Takes any number of octets, in bounded memory."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._octets = bytearray()
        self._lost = False

    def add(self, octets: bytes) -> None:
        """Take what was printed next."""
        self._octets += octets
        if len(self._octets) > 2 * KEPT:
            self._lost = True
            del self._octets[KEPT:-KEPT]

    @property
    def text(self) -> str:
        """The beginning and the end, with C{[...]} for what is left out between them."""
        octets = bytes(self._octets)
        if self._lost:
            octets = octets[:KEPT] + b" [...] " + octets[KEPT:]
        return octets.decode("utf-8", "replace")
