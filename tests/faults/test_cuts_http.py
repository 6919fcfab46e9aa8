# -*- test-case-name: tests.faults.test_cuts_http -*-
"""A connection to an HTTP service is cut at every octet, in either direction, by FIN and by RST.

Before the last octet of a request has left, a message is not sent.  From there to the last octet of
the response it is ambiguous (HTR-10 to HTR-12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Verdict
from slimtwist.testing import Cut
from slimtwist.testing.network import Wire
from tests.faults.delivery import Way, told
from tests.faults.service import GOOD, TEXTS, Posting, Service

#: Octets that the kernel takes at a time, so that not all of a request leaves at once.
_WINDOW = 16


class HttpCutTests(SynchronousTestCase):
    """L1 to L4, L10, HTR-10 to HTR-12."""

    def sweep(self, way: Way, how: Cut) -> None:
        """Cut at each octet of one direction."""
        if wrong := next(complaints(way, how), None):
            self.fail(wrong)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_up_fin(self) -> None:
        """The service ends the connection at each octet of the requests."""
        self.sweep("up", Cut.FIN)

    def test_up_rst(self) -> None:
        """The connection is reset at each octet of the requests."""
        self.sweep("up", Cut.RST)

    def test_down_fin(self) -> None:
        """The connection ends at each octet of the responses."""
        self.sweep("down", Cut.FIN)

    def test_down_rst(self) -> None:
        """The connection is reset at each octet of the responses."""
        self.sweep("down", Cut.RST)


def complaints(way: Way, how: Cut) -> Iterator[str]:
    """Cut at each octet of one direction, and yield what is wrong."""
    usual = Posting(Service())
    if [told(each) for each in usual.outcomes] != ["delivered 250"] * 2 or usual.left:
        yield f"without a cut: {usual.outcomes}"
    [wire] = usual.wires
    octets = bytes(wire.up.tape if way == "up" else wire.down.tape)
    requests = [bytes(wire.up.tape).index(text) + len(text) for text in TEXTS]
    for offset in range(len(octets) + 1):
        posting = Posting(Service(), _cut(way, how, offset))
        if wrong := wrongs(posting, requests):
            spot = octets[max(0, offset - 20) : offset]
            yield f"{way} {how.value} at {offset}, after {spot!r}: {wrong}"


def _cut(way: Way, how: Cut, offset: int) -> Callable[[Wire], object]:
    def cut(wire: Wire) -> None:
        wire.up.window = _WINDOW
        (wire.up if way == "up" else wire.down).cut(offset, how)

    return cut


def wrongs(posting: Posting, requests: list[int]) -> list[str]:
    """Return what breaks a law, in a run with a cut."""
    found = [f"left: {each}" for each in posting.left]
    for number, outcome in enumerate(posting.outcomes):
        copies = posting.copies(number)
        if outcome.verdict is Verdict.DELIVERED:
            fits = copies == 1
        else:
            fits = copies == 0 or (copies == 1 and outcome.ambiguous)
        if not fits:
            found.append(f"message {number} has {copies} copies: {outcome}")
        given, wanted = told(outcome), _expected(posting, requests, number)
        if given not in wanted:
            found.append(f"message {number}: {given}, and not {wanted}")
    return found


def _expected(posting: Posting, requests: list[int], number: int) -> list[str]:
    """Return what may become of a message."""
    first = posting.wires[0]
    sent, came = first.up.sent >= requests[number], first.up.arrived >= requests[number]
    answered = first.down.arrived >= len(GOOD) * (number + 1)
    elsewhere = number == 1 and first.up.sent <= requests[0]
    if answered or elsewhere:
        return ["delivered 250"]
    if came:
        return ["deferred 451?"]
    return ["deferred 451?", "deferred 451"] if sent else ["deferred 451"]
