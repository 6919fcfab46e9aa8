# -*- test-case-name: tests.smtp.test_connector -*-
"""From a host's name to a session: which address, which socket, and what follows a failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import (
    AttemptCancelled,
    AuthenticationFailed,
    ConnectionFailed,
    PermanentRelayError,
    TransientRelayError,
)
from slimtwist.outcome import Verdict
from slimtwist.smtp.connector import Place
from slimtwist.sources import source_chooser
from slimtwist.testing import Ended, ScriptedPeer, Stall
from slimtwist.testing.script import Script
from tests.smtp.dialogues import BYE, GREETING, HOST, PASSWORD, World, ehlo, policy

READY: Script = [*GREETING, *ehlo("PIPELINING"), *BYE]
BUSY: Script = ["S: 450 4.3.2 busy", *BYE]
A4, B4 = "192.0.2.81", "192.0.2.82"
A6 = "2001:db8::1"


class ConnectorCase(SynchronousTestCase):
    """A client, and hosts at several places."""

    def listen(self, world: World, address: str, *scripts: Script) -> ScriptedPeer:
        """Let a host listen at an address, and the name lead to it too."""
        peer = ScriptedPeer(*scripts)
        world.reactor.listenTCP(25, peer, interface=address)
        return peer

    def connected(self, world: World) -> list[str]:
        """Return where connections were tried."""
        return [each.host for each in world.reactor.network.attempts]


class AddressTests(ConnectorCase):
    """A host with several addresses."""

    def test_name(self) -> None:
        """A name is looked up for each session; the outcome's host says name, address, port."""
        world = World(READY)
        self.assertEqual(world.session().host, f"{HOST} [{world.address}]:25")
        self.assertEqual(world.reactor.names.asked, [HOST])
        world.close()
        world.check()

    def test_literal(self) -> None:
        """An address is not looked up, however it is written."""
        for written in (A4, A6, "2001:DB8:0::0001"):
            world = World(place=Place(written))
            address = A6 if ":" in written else written
            peer = self.listen(world, address, READY)
            self.assertIn(f"[{address}]:25", world.session().host)
            self.assertEqual(world.reactor.names.asked, [])
            world.close()
            peer.verify()

    def test_literal_refuses(self) -> None:
        """A refusal at an address is the end of it, however it is written."""
        for written in (A4, A6, "2001:DB8:0::0001"):
            world = World(place=Place(written))
            self.listen(world, A6 if ":" in written else written, BUSY)
            self.assertEqual(str(world.outcome().reply), "450 4.3.2 busy")
            world.check()

    def test_next_address(self) -> None:
        """NEXT: a refused greeting is followed by the next address of the same host."""
        for refusal in ("450 4.3.2 busy", "554 5.7.1 go away", "521 5.3.2 no mail", "250 what"):
            world = World([f"S: {refusal}", *BYE] if refusal[0] != "2" else [f"S: {refusal}"])
            world.reactor.hosts[HOST] = [world.address, A4]
            peer = self.listen(world, A4, READY)
            self.assertIn(A4, world.session().host)
            self.assertEqual(self.connected(world), [world.address, A4])
            world.close()
            world.check()
            peer.verify()

    def test_all_refuse(self) -> None:
        """PEER-08: when all refuse, the last refusal is the outcome; 5yz does not fail for good."""
        world = World(["S: 450 4.3.2 busy", *BYE])
        world.reactor.hosts[HOST] = [world.address, A4]
        peer = self.listen(world, A4, ["S: 554 5.7.1 go away", *BYE])
        outcome = world.outcome()
        self.assertIs(outcome.verdict, Verdict.DEFERRED)
        self.assertEqual(str(outcome.reply), "451 4.7.1 greeting refused: 554 5.7.1 go away")
        self.assertEqual((outcome.command, outcome.host), ("greeting", f"{HOST} [{A4}]:25"))
        world.check()
        peer.verify()

    def test_all_say_521(self) -> None:
        """RFC 7504: when all say that there is no mail here, that is for good."""
        world = World(["S: 521 5.3.2 no mail", *BYE])
        world.reactor.hosts[HOST] = [world.address, A4]
        self.listen(world, A4, ["S: 521 5.3.2 no mail", *BYE])
        self.assertIs(type(world.error()), PermanentRelayError)
        self.assertEqual(str(world.outcome().reply), "521 5.3.2 no mail")
        world.check()

    def test_one_says_521(self) -> None:
        """L2: it is not for good while another address was only busy, or did not answer."""
        for first in (BUSY, None):
            world = World(["S: 521 5.3.2 no mail", *BYE])
            world.reactor.hosts[HOST] = [A4, world.address]
            if first is not None:
                self.listen(world, A4, first)
            self.assertIs(world.outcome().verdict, Verdict.DEFERRED)
            self.assertEqual(self.connected(world), [A4, world.address])

    def test_dead_one_once(self) -> None:
        """DNS-38: an address that did not answer is not tried again when another one refuses."""
        world = World(BUSY)
        world.reactor.hosts[HOST] = [A4, world.address]
        world.reactor.network.refusing.add(A4)
        self.assertEqual(str(world.outcome().reply), "450 4.3.2 busy")
        self.assertEqual(self.connected(world), [A4, world.address])
        world.check()

    def test_credentials_are_shown_once(self) -> None:
        """Credentials that one address refused are not tried on the next."""
        options: dict[str, Any] = {
            "credentials": PASSWORD,
            "auth_insecure": True,
            "tls": policy("none"),
        }
        world = World(
            [*GREETING, *ehlo("AUTH PLAIN"), "C: AUTH PLAIN ...", "S: 535 5.7.8 no", *BYE],
            **options,
        )
        world.reactor.hosts[HOST] = [world.address, A4]
        self.listen(world, A4, READY)
        self.assertEqual(world.outcome().reply.enhanced, "4.7.8")
        self.assertEqual(self.connected(world), [world.address])
        world.check()
        world = World([*GREETING, *ehlo("AUTH GSSAPI"), Ended()], **options)
        world.reactor.hosts[HOST] = [world.address, A4]
        self.assertIsInstance(world.error(), AuthenticationFailed)
        self.assertEqual(self.connected(world), [world.address])

    def test_last_that_answered(self) -> None:
        """The address that answered last time is tried first, for ten minutes."""
        world = World(READY, READY, READY)
        world.reactor.hosts[HOST] = [A4, world.address]
        for expected, pause in ([A4, world.address], 599), ([world.address], 601):
            world.reactor.network.attempts.clear()
            world.opened = None
            world.session()
            self.assertEqual(self.connected(world), expected)
            world.close()
            world.reactor.advance(pause - 10)
        world.opened = None
        world.reactor.network.attempts.clear()
        world.session()
        self.assertEqual(self.connected(world), [A4, world.address])
        world.close()
        world.check()

    def test_many_addresses(self) -> None:
        """L6: of a host's addresses ten are tried."""
        world = World()
        world.reactor.hosts[HOST] = [f"198.51.100.{number}" for number in range(1, 200)]
        self.assertEqual(len(world.outcome().reply.text.split("; ")), 10)
        self.assertEqual(len(self.connected(world)), 10)

    def test_unknown_name(self) -> None:
        """A name without address defers with 4.4.1, at connect."""
        world = World(place=Place("nowhere.example", 2525))
        error = world.error()
        self.assertIs(type(error), ConnectionFailed)
        self.assertEqual(str(error.outcome.reply), "451 4.4.1 cannot connect: no address")
        self.assertEqual(
            (error.outcome.command, error.outcome.host), ("connect", "nowhere.example:2525")
        )

    def test_silent_resolver(self) -> None:
        """L7: a resolver that never answers defers after 30 s."""
        world = World()
        world.reactor.names.hanging.add(HOST)
        self.assertIn("no address in time", str(world.outcome().reply))
        self.assertEqual(world.reactor.seconds(), 30)
        self.assertEqual(world.left(), "")

    def test_nobody_listens(self) -> None:
        """A refused connection defers, and says so."""
        world = World(place=Place(A4))
        outcome = world.outcome()
        self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.4.1"))
        self.assertRegex(outcome.reply.text, "cannot connect: 192.0.2.81: .*refused")
        self.assertEqual((outcome.command, outcome.host), ("connect", "192.0.2.81:25"))
        self.assertEqual(World(place=Place(A6)).outcome().host, "[2001:db8::1]:25")


class NameTests(ConnectorCase):
    """What a certificate would have to be for."""

    def test_no_name(self) -> None:
        """A host without a name that can be verified is refused when it is set, if need be."""
        for host in ("", "two words", "a..b", "mx_example.com/x"):
            with self.assertRaises(ValueError):
                World(place=Place(host), tls=policy("verify"))
            World(place=Place(host), tls=policy("encrypt"))
            named = policy("verify", reference=HOST)
            World(place=Place(host), tls=named)


class LookUpTests(ConnectorCase):
    """Who looks names up may be somebody else."""

    def test_given(self) -> None:
        """What is given is asked instead of the reactor, and its order holds."""
        asked: list[str] = []

        async def look_up(host: str) -> Sequence[str]:
            asked.append(host)
            return (A4, world.address)

        world = World(READY, connector={"resolve": look_up})
        self.assertIn(world.address, world.session().host)
        self.assertEqual((asked, world.reactor.names.asked), ([HOST], []))
        self.assertEqual(self.connected(world), [A4, world.address])
        world.close()
        world.check()

    def test_odd_spelling(self) -> None:
        """An address that refuses is not tried again, however it is written."""

        async def look_up(_: str) -> Sequence[str]:
            return ("2001:DB8::0001",)

        world = World(connector={"resolve": look_up})
        self.listen(world, A6, BUSY)
        self.assertEqual(str(world.outcome().reply), "450 4.3.2 busy")

    def test_its_error(self) -> None:
        """Its own error is the outcome; any other is ours, is logged, and defers."""
        raised: list[Exception] = [ConnectionFailed.at("null MX"), ZeroDivisionError()]

        async def look_up(_: str) -> Sequence[str]:
            raise raised[0]

        world = World(connector={"resolve": look_up})
        self.assertIs(world.error(), raised.pop(0))
        world = World(connector={"resolve": look_up})
        error = world.error()
        self.assertIs(type(error), TransientRelayError)
        self.assertEqual(str(error.outcome.reply), "451 4.3.0 internal error: ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_never_answers(self) -> None:
        """L7: who never answers keeps no place in a pool for longer than 300 s."""

        async def look_up(_: str) -> Sequence[str]:
            return await Deferred()

        world = World(connector={"resolve": look_up})
        self.assertIn("no address in time", str(world.outcome().reply))
        self.assertEqual(world.reactor.seconds(), 300)
        self.assertEqual(world.left(), "")


class SourceTests(ConnectorCase):
    """Where connections come from."""

    def test_in_turn(self) -> None:
        """Several sources are taken in turn, connection by connection, whatever the host has."""
        chooser = source_chooser(["203.0.113.1", "203.0.113.2", "2001:db8:a::1"])
        world = World(READY, READY, READY, connector={"source": chooser})
        world.reactor.hosts[HOST] = [world.address, A4, B4, A6]
        for _ in range(3):
            world.opened = None
            world.session()
            world.close()
        sources = [each.source[0] for each in world.reactor.network.attempts]
        self.assertEqual(sources, ["203.0.113.1", "203.0.113.2", "203.0.113.1"])
        world.check()

    def test_callable_raises(self) -> None:
        """What a callable raises is logged, and is the failure of that address."""
        world = World(connector={"source": lambda _: 1 // 0})
        self.assertEqual(world.outcome().reply.enhanced, "4.4.1")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_not_ours(self) -> None:
        """OS-16: EADDRNOTAVAIL defers with 4.4.1."""
        world = World(connector={"source": lambda _: "203.0.113.1"})
        world.reactor.network.own = set()
        outcome = world.outcome()
        self.assertEqual((outcome.reply.enhanced, outcome.command), ("4.4.1", "connect"))
        self.assertIn("Cannot assign requested address", outcome.reply.text)


class CancelTests(ConnectorCase):
    """OS-14, L3: cancelled before there is a session."""

    def cancelled(self, world: World) -> None:
        """Cancel now, and check that it is all over."""
        assert world.opened is not None
        world.opened.cancel()
        error = world.error()
        self.assertIs(type(error), AttemptCancelled)
        self.assertEqual(error.outcome.reply.enhanced, "4.3.2")
        world.reactor.advance(10)
        self.assertEqual(world.left(), "")

    def test_while_looking_up(self) -> None:
        """While the name is looked up."""
        world = World()
        world.reactor.names.hanging.add(HOST)
        world.start()
        world.reactor.advance(1)
        self.cancelled(world)

    def test_while_connecting(self) -> None:
        """While nobody answers."""
        for moment in (0, 0.1, 0.3, 29.9):
            world = World()
            world.reactor.hosts[HOST] = [A6, A4]
            world.reactor.network.black_holes |= {A6, A4}
            world.start()
            world.reactor.advance(moment)
            self.cancelled(world)

    def test_while_the_host_is_silent(self) -> None:
        """While the greeting is awaited: no other address is tried then."""
        world = World([Stall()])
        world.reactor.hosts[HOST] = [world.address, A4]
        world.start()
        world.reactor.advance(1)
        self.cancelled(world)
        self.assertEqual(self.connected(world), [world.address])


class AbandonTests(ConnectorCase):
    """What is left of connections that never became ready."""

    def test_still_saying_goodbye(self) -> None:
        """A host that does not react to QUIT after a refusal is not waited for."""
        world = World(["S: 554 no", "C: QUIT", Stall()])
        self.assertEqual(world.outcome().reply.code, 451)
        world.reactor.advance(1)
        self.assertNotEqual(world.left(), "")
        world.connector.abandon()
        world.reactor.flush()
        self.assertEqual(world.left(), "")

    def test_ready(self) -> None:
        """A session that is ready is nobody's but its owner's."""
        world = World(READY)
        session = world.session()
        world.connector.abandon()
        world.reactor.flush()
        self.assertTrue(session.channel.quiet())
        world.close()
        world.check()


class AnybodysCodeTests(ConnectorCase):
    """L3: whatever is called here may raise, and the outcome is one all the same."""

    def test_ehlo_as(self) -> None:
        """INJ-06: a callable's name is checked when it is given; what is no name is not sent."""
        for given in ("a\r\nRCPT TO:<x@y>", "two words", "ü", "x" * 300, "", None):
            world = World([*GREETING, Ended()], ehlo_as=lambda _, given=given: given)
            outcome = world.outcome()
            self.assertEqual(outcome.reply.enhanced, "4.3.0")
            world.check()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 5)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
