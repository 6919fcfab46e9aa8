# -*- test-case-name: tests.relay.test_definitions -*-
"""Names for relays: in any order, each one relay, however many use it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.relay.definitions import Definitions
from slimtwist.relay.shared import SharedRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay


class DefinitionsTests(SynchronousTestCase):
    """What becomes of names and descriptions."""

    def setUp(self) -> None:
        """Begin with a network."""
        self.reactor = MemoryReactor()

    def define(self, **descriptions: str) -> Definitions:
        """Return the relays of these names."""
        return Definitions(Runtime(self.reactor), descriptions)

    def wrong(self, name: str, **descriptions: str) -> str:
        """Return what is said of a relay that cannot be."""
        error = self.assertRaises(ValueError, self.define(**descriptions).__getitem__, name)
        return str(error)

    def deliver(self, runtime: Runtime, description: str) -> list[tuple[str, str | None]]:
        """Return the reply to a message and who decided; the relay is not stopped."""
        relay = runtime.relay(description)
        message = Envelope.parse("a@b", ["c@d"], b"Subject: x\r\n\r\nx\r\n")
        report = self.reactor.wait(relay.attempt(message, 0))
        return [(str(outcome.reply), outcome.relay) for outcome in report]

    def test_any_order(self) -> None:
        """A name may be used before it is defined; the innermost name is told (L11)."""
        host = FakeSmarthost()
        self.reactor.add_host("b.example", host)
        found = self.define(all="fallback:first:second", first="smtp:a", second="smtp:b.example")
        wanted = [("250 2.0.0 taken", "second")]
        self.assertEqual(self.deliver(found.runtime, "all"), wanted)
        self.assertEqual(self.deliver(found.runtime, "[all]"), wanted)
        self.assertEqual(self.deliver(found.runtime, "second"), wanted)
        self.assertEqual(len(host.sessions), 1, "one relay has one pool of connections")

    def test_same(self) -> None:
        """A name is one relay."""
        found = self.define(a="blackhole:")
        self.assertIs(found["a"], found["a"])
        self.assertEqual(([*found], len(found)), (["a"], 1))

    def test_another_name(self) -> None:
        """A relay may have two names, and is one relay all the same."""
        found = self.define(a="b", b="blackhole:")
        self.assertEqual(self.deliver(found.runtime, "a"), [("250 2.0.0 gone", "b")])

    def test_lazy(self) -> None:
        """Whether there is a name is known without building anything."""
        found = self.define(a="smtp:")
        self.assertIn("a", found)
        self.assertNotIn("b", found)
        self.assertRaises(KeyError, found.__getitem__, "b")

    def test_circle(self) -> None:
        """What is made of itself is an error that tells the way (L6)."""
        self.assertEqual(self.wrong("a", a="a"), "'a' is made of itself: a, a")
        circle = self.wrong("x", x="a", a="fallback:[blackhole:]:b", b="fallback:[fallback:a]")
        told = "fallback: fallback: fallback: 'a' is made of itself: a, b, a"
        self.assertEqual(circle, told)

    def test_circle_again(self) -> None:
        """It stays an error, and is none for what does not use it."""
        found = self.define(a="a", b="blackhole:")
        for _ in range(2):
            error = self.assertRaises(ValueError, found.__getitem__, "a")
            self.assertEqual(str(error), "'a' is made of itself: a, a")
        self.assertEqual(str(found["b"].use()), "b")

    def test_wrong_again(self) -> None:
        """What is wrong for another reason is told for that reason each time."""
        found = self.define(a="smtp:", b="fallback:a")
        for name, text in (
            ("a", "smtp: the host"),
            ("b", "fallback: smtp: the host"),
            ("a", "smtp: "),
        ):
            error = self.assertRaises(ValueError, found.__getitem__, name)
            self.assertTrue(str(error).startswith(text), error)

    def test_unknown(self) -> None:
        """A name that is not defined is an error that tells those that are."""
        text = self.wrong("a", a="fallback:c", b="blackhole:")
        self.assertTrue(text.startswith("fallback: no relay 'c'; installed are "), text)
        self.assertTrue(text.endswith("; defined are a, b"), text)

    def test_arguments(self) -> None:
        """A name takes no arguments, and is not said to be unknown."""
        for written in ("b:", "b:rate=1/s"):
            text = self.wrong("a", a=f"fallback:[{written}]", b="blackhole:")
            self.assertEqual(
                text,
                "fallback: 'b' is the name of a relay, and stands alone: it takes no arguments",
            )

    def test_names(self) -> None:
        """A name is a word that means nothing else: no kind of relay is hidden by it."""
        for name in ("", "A", "1", "a b", "a:b", "[a]", "a=b", "-a", "b\xfcro", "a\n"):
            error = self.assertRaises(ValueError, self.define, **{name: "blackhole:"})
            self.assertIn(f"{name!r} is no name", str(error))
        for name in ("smtp", "mx", "dovecot-lda", "fallback"):
            error = self.assertRaises(ValueError, self.define, **{name: "blackhole:"})
            self.assertIn(f"{name!r} is a kind of relay already", str(error))
        self.define(**{"a-b_c.1": "blackhole:"})

    def test_given(self) -> None:
        """Relays that a program has given to the runtime may be used, and keep their names."""
        given = SharedRelay(MemoryRelay(), "ours")
        runtime = Runtime(self.reactor, defined={"ours": given})
        found = Definitions(runtime, {"a": "fallback:ours:mx"})
        self.assertEqual(self.deliver(found.runtime, "a"), [("250 2.0.0 delivered", "ours")])
        self.assertIs(found["ours"], given)
        self.assertEqual(([*found], len(found), "ours" in found), (["ours", "a"], 2, True))
        error = self.assertRaises(ValueError, Definitions, runtime, {"ours": "blackhole:"})
        self.assertEqual(str(error), "'ours' is defined already; choose another name")
