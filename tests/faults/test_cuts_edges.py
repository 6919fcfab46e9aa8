# -*- test-case-name: tests.faults.test_cuts_edges -*-
"""A client's connection is cut at every octet, in either direction, by FIN and by RST.

A message is handed on if, and only if, all of it came, then once and octet by octet the same; and
whatever the client has heard is what it would have heard without the cut (ING-17, ING-18).
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import Cut
from slimtwist.testing.network import Wire
from tests.faults.delivery import Way
from tests.faults.incoming import INCOMING, TEXTS, Incoming, Undisturbed, Visit


class EdgeCutTests(SynchronousTestCase):
    """L1, L2, L8, L12, ING-17, ING-18."""

    def sweep(self, name: str, way: Way, how: Cut) -> None:
        """Cut one dialogue at each octet of one direction."""
        if wrong := next(complaints(name, way, how), None):
            self.fail(wrong)
        self.assertEqual(self.flushLoggedErrors(), [])


def complaints(name: str, way: Way, how: Cut) -> Iterator[str]:
    """Cut one dialogue at each octet of one direction, and yield what is wrong."""
    incoming = INCOMING[name]
    usual = Undisturbed.of(incoming)
    if wrong := wrongs(usual.visit, usual, len(usual.visit.up)):
        yield f"{name} without a cut: {wrong}"
    if len(usual.visit.relay.made) != len(usual.complete):
        yield f"{name} without a cut: not all was handed on"
    octets = usual.visit.up if way == "up" else usual.visit.down
    for offset in range(len(octets) + 1):
        visit = _cut(incoming, way, how, offset)
        if wrong := wrongs(visit, usual, len(visit.up)):
            spot = octets[max(0, offset - 20) : offset]
            yield f"{name}, {way} {how.value} at {offset}, after {spot!r}: {wrong}"


def _cut(incoming: Incoming, way: Way, how: Cut, offset: int) -> Visit:
    def cut(wire: Wire) -> None:
        (wire.up if way == "up" else wire.down).cut(offset, how)

    return Visit(incoming, cut)


def wrongs(visit: Visit, usual: Undisturbed, came: int) -> list[str]:
    """Return what breaks a law in a visit of which so many octets came."""
    found = [f"left: {each}" for each in visit.left]
    wanted = [text for end, text in zip(usual.complete, TEXTS, strict=False) if end <= came]
    given = [each.octets for each in visit.relay.made]
    if given != wanted:
        found.append(f"{given} were handed on, and not {wanted}")
    if not usual.visit.down.startswith(visit.down):
        found.append(f"the client heard {visit.down[-60:]!r}")
    if visit.relay.running:
        found.append("an attempt has no end")
    return found


def _test(name: str, way: Way, how: Cut) -> None:
    """Add a test of one dialogue, direction and kind of cut."""

    def test(self: EdgeCutTests) -> None:
        self.sweep(name, way, how)

    test.__name__ = "_".join(["test", *name.replace(".", " ").split(), way, how.value]).lower()
    test.__doc__ = f"{name}, cut on the way {way} by {how.name} at every octet (L1, L2, ING-17)."
    setattr(EdgeCutTests, test.__name__, test)


for _name in INCOMING:
    for _way in ("up", "down"):
        for _how in (Cut.FIN, Cut.RST):
            _test(_name, _way, _how)
