# -*- test-case-name: tests.relay.smtp.test_delivery_zones -*-
"""Delivery for any zone, whatever its hosts do."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Outcome, Verdict
from slimtwist.testing import Close
from tests.relay.smtp.world import MxTestCase

_FATES = (
    *("takes", "refuses", "busy", "greylists", "fails", "ambiguous"),
    *("silent", "gone", "down", "unknown"),
)
_TRANSIENT = {"refuses", "busy", "greylists", "silent", "gone", "down", "unknown"}
_NOWHERE = {"gone", "unknown"}


class AnyZoneTests(SynchronousTestCase):
    """For any zone and any behaviour of its hosts."""

    @settings(max_examples=120, deadline=None)
    @given(data=st.data())
    def test_any(self, data: st.DataObject) -> None:
        """The order of connections obeys RFC 5321 5.1, bounds hold, the report is complete, and
        each recipient's outcome is what the hosts that were asked said (L2, L4).
        """
        world = MxTestCase()
        world.setUp()
        count = data.draw(st.integers(1, 8))
        fates = [data.draw(st.sampled_from(_FATES)) for _ in range(count)]
        preferences = [data.draw(st.sampled_from((0, 10, 20, 65535))) for _ in range(count)]
        where: dict[str, int] = {}
        for number, fate in enumerate(fates):
            addresses = [f"192.0.2.{number * 4 + n}" for n in range(data.draw(st.integers(1, 3)))]
            where |= dict.fromkeys(addresses, number)
            _furnish(world, f"h{number}", fate, addresses)
        records = [f"MX {preferences[n]} h{n}.example" for n in range(count)]
        world.zone(d=data.draw(st.permutations(records)))
        recipients = data.draw(
            st.lists(st.sampled_from(["a@d.example", "b@d.example"]), min_size=1)
        )
        outcomes = world.deliver(*recipients)
        called = world.called()
        hosts = list(dict.fromkeys(where[each] for each in called))
        self.assertEqual(len(outcomes), len(recipients))
        self.assertEqual(len(set(called)), len(called))
        self.assertEqual([where[each] for each in called], sorted(
            (where[each] for each in called), key=hosts.index))  # fmt: skip
        asked = [preferences[each] for each in hosts]
        self.assertEqual(asked, sorted(asked))
        self.assertLessEqual((len(hosts), len(called)), (5, 10))
        self._check_end(world, hosts, fates, preferences, outcomes)

    def _check_end(
        self,
        world: MxTestCase,
        hosts: list[int],
        fates: list[str],
        preferences: list[int],
        outcomes: list[Outcome],
    ) -> None:
        final = [each for each in hosts if fates[each] not in _TRANSIENT]
        self.assertEqual(final, hosts[-1:] if final else [], "somebody was asked after the end")
        verdicts = {outcome.verdict for outcome in outcomes}
        if not final:
            silent = sum(each in _NOWHERE for each in fates)
            self.assertTrue(len(hosts) + silent >= min(5, len(fates)) or len(hosts) >= 3)
            expected = {Verdict.FAILED} if set(fates) == {"gone"} and len(fates) <= 5 else {
                Verdict.DEFERRED
            }  # fmt: skip
            self.assertEqual(verdicts, expected)
        elif fates[final[0]] == "takes":
            self.assertEqual(verdicts, {Verdict.DELIVERED})
            self.assertEqual(len(world.hosts[f"h{final[0]}"].messages), 1)
        elif fates[final[0]] == "fails":
            self.assertEqual(verdicts, {Verdict.FAILED})
        else:
            self.assertTrue(all(outcome.ambiguous for outcome in outcomes))
        if final:
            better = [n for n, each in enumerate(preferences) if each < preferences[final[0]]]
            missing = [n for n in better if n not in hosts and fates[n] not in _NOWHERE]
            self.assertEqual(missing, [], "a preferred host was left out")
        world.end()


def _furnish(world: MxTestCase, name: str, fate: str, addresses: list[str]) -> None:
    """Add a host that behaves in some way."""
    every: dict[str, dict[str, Any]] = {
        "refuses": {"GREETING": "554 5.7.1 not you"},
        "busy": {"MAIL": "451 4.3.0 busy"},
        "greylists": {"RCPT": "450 4.7.1 wait"},
        "fails": {"RCPT": "550 5.1.1 who"},
        "ambiguous": {"DOT": Close()},
    }
    world.host(name, *addresses, port=25, **every.get(fate, {}))
    if fate == "gone":
        world.names.zone[f"{name}.example"] = []
    if fate == "unknown":
        world.names.trouble[f"{name}.example"] = "SERVFAIL"
    if fate == "down":
        world.reactor.network.refusing.update(addresses)
    if fate == "silent":
        world.reactor.network.black_holes.update(addresses)
