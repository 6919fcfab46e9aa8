# -*- test-case-name: tests.test_destinations -*-
"""What was learned of hosts: it expires, it is bounded, it can be shown."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.destinations import LESSONS, Destinations

A, B, C = "a.example:25", "b.example:25", "c.example:25"


class DestinationsTests(SynchronousTestCase):
    """A memory of hosts."""

    def setUp(self) -> None:
        """Begin knowing nothing."""
        self.clock = Clock()
        self.known = Destinations(self.clock, size=3)

    def test_nothing(self) -> None:
        """What was not learned is not known."""
        self.assertIsNone(self.known.recall(A, "tls broken"))
        self.assertEqual(list(self.known), [])

    def test_lessons_apart(self) -> None:
        """A lesson is about one host, and one thing."""
        self.known.learn(A, "tls broken")
        self.assertEqual(self.known.recall(A, "tls broken"), "yes")
        self.assertIsNone(self.known.recall(A, "pipelining broken"))
        self.assertIsNone(self.known.recall(B, "tls broken"))

    def test_value(self) -> None:
        """A lesson may be a text, and a later one replaces it."""
        self.known.learn(A, "address", "192.0.2.1")
        self.known.learn(A, "address", "192.0.2.2")
        self.assertEqual(self.known.recall(A, "address"), "192.0.2.2")

    def test_expiry(self) -> None:
        """TLS-10, PEER-19: broken TLS is believed for an hour, broken PIPELINING for a day."""
        for lesson, seconds in {"tls broken": 3600, "pipelining broken": 86400}.items():
            self.assertEqual(LESSONS[lesson], seconds)
            self.known.learn(A, lesson)
            self.clock.advance(seconds - 1)
            self.assertIsNotNone(self.known.recall(A, lesson))
            self.clock.advance(1)
            self.assertIsNone(self.known.recall(A, lesson))

    def test_learned_again(self) -> None:
        """What is learned again is believed for as long again."""
        self.known.learn(A, "tls broken")
        self.clock.advance(3000)
        self.known.learn(A, "tls broken")
        self.clock.advance(3000)
        self.assertIsNotNone(self.known.recall(A, "tls broken"))

    def test_bound(self) -> None:
        """L6: when it is full, what was learned first is forgotten; learning again makes it new."""
        for host in (A, B, C, A, "d.example:25"):
            self.known.learn(host, "tls broken")
        self.assertIsNone(self.known.recall(B, "tls broken"))
        for host in (A, C, "d.example:25"):
            self.assertIsNotNone(self.known.recall(host, "tls broken"))

    def test_many(self) -> None:
        """L6: it never grows beyond its size."""
        for number in range(100):
            self.known.learn(f"{number}.example", "address", "192.0.2.1")
            self.assertLessEqual(len(list(self.known)), 3)

    def test_shown(self) -> None:
        """An operator sees host, lesson, value and the seconds left, of what still holds."""
        self.known.learn(A, "address", "192.0.2.1")
        self.known.learn(B, "tls broken")
        self.clock.advance(100)
        self.assertEqual(
            list(self.known), [(A, "address", "192.0.2.1", 500), (B, "tls broken", "yes", 3500)]
        )
        self.clock.advance(500)
        self.assertEqual(list(self.known), [(B, "tls broken", "yes", 3000)])

    def test_unknown_lesson(self) -> None:
        """A lesson that nobody knows how long to believe is an error of the program."""
        self.assertRaises(KeyError, self.known.learn, A, "no such lesson")
