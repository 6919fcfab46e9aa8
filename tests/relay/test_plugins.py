# -*- test-case-name: tests.relay.test_plugins -*-
"""Descriptions, as operators write them, become the relays that they say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import TLSFailed, TransientRelayError
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.relay.plugins import NOT_OF_MX, parse_mx
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor
from tests.relay.smtp.world import MxTestCase


class DescriptionTests(SynchronousTestCase):
    """From text to a relay that works."""

    def setUp(self) -> None:
        """A network with a smart host."""
        self.reactor = MemoryReactor()
        self.runtime = Runtime(self.reactor, hostname="relay.example")
        self.hop = FakeSmarthost()

    def deliver(self, description: str) -> list[str]:
        """Return the relay's answers for a message, sent by what the description says."""
        relay = self.runtime.relay(description)
        octets = b"Subject: x\r\n\r\nx\r\n"
        message = Envelope.parse("a@example.org", ["b@example.net"], octets)
        report = self.reactor.wait(relay.attempt(message, 0))
        self.reactor.wait(relay.stop())
        return [str(outcome.reply) for outcome in report]

    def wrong(self, description: str) -> str:
        """Return what is said of a description that cannot be."""
        with self.assertRaises(ValueError) as caught:
            self.runtime.relay(description)
        return str(caught.exception)

    def test_host(self) -> None:
        """A host, on port 25 or another one."""
        self.reactor.add_host("mx.example", self.hop)
        self.reactor.add_host("other.example", self.hop, 2525)
        for description in ("smtp:mx.example", "smtp:other.example:port=2525"):
            self.assertEqual(self.deliver(description), ["250 2.0.0 taken"])
        self.assertEqual(self.deliver("smtp:other.example:2525"), ["250 2.0.0 taken"])

    def test_no_host(self) -> None:
        """What is no host is said before anything listens, whatever TLS would say of it."""
        for kind in ("smtp", "lmtp"):
            for host in ("mx example", "mx..example", "-mx", "a" * 64):
                self.assertIn(f"{host!r} is neither", self.wrong(f"{kind}:{host}"))
            for host in ("mx_1.example.", "b\xfccher.example", "[fe80::1%eth0]", "192.0.2.1"):
                self.runtime.relay(f"{kind}:{host}:tls=none")

    def test_address(self) -> None:
        """An IPv6 address stands in brackets."""
        self.reactor.listenTCP(25, self.hop, interface="2001:db8::1")
        self.assertEqual(self.deliver("smtp:[2001:db8::1]:port=25"), ["250 2.0.0 taken"])
        self.assertEqual(self.reactor.network.attempts[0].host, "2001:db8::1")

    def test_unix(self) -> None:
        """A UNIX socket needs no host."""
        self.reactor.listenUNIX("/run/hop", self.hop)
        self.assertEqual(self.deliver("smtp:unix=/run/hop"), ["250 2.0.0 taken"])

    def test_unix_name(self) -> None:
        """A host beside a UNIX socket is not connected to: it is what a certificate is for (L9)."""
        self.reactor.listenUNIX("/run/hop", self.hop)
        self.assertEqual(self.deliver("smtp:mx.example:unix=/run/hop"), ["250 2.0.0 taken"])
        for kind in ("smtp", "lmtp"):
            for host, name in (("mx.example:", "mx.example"), ("", "localhost")):
                relay = self.runtime.relay(f"{kind}:{host}unix=/run/hop:tls=verify")
                assert isinstance(relay, StaticSmtpRelay)
                place = relay._connector.place  # noqa: SLF001 - nowhere else to be seen
                self.assertEqual((place.host, place.unix), (name, "/run/hop"))

    def test_ehlo(self) -> None:
        """The name for EHLO is the description's, or the host's own."""
        self.reactor.add_host("mx.example", self.hop)
        self.deliver("smtp:mx.example")
        self.deliver("smtp:mx.example:ehlo_as=other.example")
        said = [line for line in self.hop.transcript if line.startswith("C: EHLO")]
        self.assertEqual(said, ["C: EHLO relay.example", "C: EHLO other.example"])

    def test_credentials(self) -> None:
        """Credentials come from a file, and go to no host that has not proved itself (L9)."""
        login = Path(self.mktemp())
        login.write_text("me:secret")
        self.hop.users = {"me": "secret"}
        self.reactor.add_host("mx.example", self.hop)
        error = self.assertRaises(
            TransientRelayError, self.deliver, f"smtp:mx.example:credentials={login}"
        )
        self.assertEqual(error.outcome.reply.enhanced, "4.7.4")
        insecure = f"smtp:mx.example:credentials={login}:tls=none:auth_insecure=yes"
        self.assertEqual(self.deliver(insecure), ["250 2.0.0 taken"])

    def test_submissions(self) -> None:
        """On port 465 TLS comes first (RFC 8314 3.3), unless the description says otherwise."""
        self.reactor.add_host("mx.example", self.hop, 465)
        plain = self.runtime.relay("smtp:mx.example:port=465:tls_first=no")
        first = self.runtime.relay("smtp:mx.example:port=465:starttls=5")
        octets = b"Subject: x\r\n\r\nx\r\n"
        message = Envelope.parse("a@example.org", ["b@example.net"], octets)
        self.reactor.wait(plain.attempt(message, 0))
        self.assertEqual(len(self.hop.messages), 1)
        # This host speaks no TLS, and so nothing is said to it.
        attempt = first.attempt(message, 0)
        self.assertRaises(TLSFailed, self.reactor.wait, attempt)
        self.assertEqual([line for line in self.hop.transcript[-2:] if line[0] == "C"], [])

    def test_lmtp(self) -> None:
        """An LMTP server is on this host, port 24, unless the description says otherwise."""
        server = FakeSmarthost(lhlo=True)
        self.reactor.listenUNIX("/run/lmtp", server)
        self.reactor.listenTCP(24, server, interface="127.0.0.1")
        self.reactor.hosts["localhost"] = ["127.0.0.1"]
        self.reactor.add_host("lmtp.example", server, 2424)
        for description in ("lmtp:", "lmtp:unix=/run/lmtp", "lmtp:lmtp.example:port=2424"):
            self.assertEqual(self.deliver(description), ["250 2.0.0 taken"])
        self.assertIn("lmtp: port='x'", self.wrong("lmtp:localhost:port=x"))
        self.assertIn("lmtp: unknown argument 'host_'", self.wrong("lmtp:host_=x"))

    def test_blackhole(self) -> None:
        """Nowhere has no arguments."""
        self.assertIsInstance(self.runtime.relay("blackhole:"), BlackholeRelay)
        self.assertIn("arguments are none", self.wrong("blackhole:x"))

    def test_kind(self) -> None:
        """What C{smtp:} builds is the relay to a smart host."""
        self.assertIsInstance(self.runtime.relay("smtp:mx.example"), StaticSmtpRelay)

    def test_wrong(self) -> None:
        """Every error names the relay and the part, and says how to mend it."""
        cases = {
            "smtp:": "smtp: the host is missing: write smtp:HOST",
            "smtp:mx.example:port=0": "smtp: port='0'",
            "smtp:mx.example:port=x": "smtp: port='x' is not a whole number from 1 to 65535",
            "smtp:mx.example:prot=25": "smtp: unknown argument 'prot'",
            "smtp:a:25:c": " before); its arguments are host, port, unix, tls",
            "smtp:mx.example:eight_bit=maybe": "eight_bit='maybe'",
            "smtp:mx.example:source_ips=x": "smtp: source_ips: 'x' ",
            "smtp:mx.example:source_ips=": "smtp: source_ips: ",
            "smtp:mx.example:reference=": "smtp: reference: ''",
            "smtp:mx.example:trust=": "smtp: trust: the path of the file is missing",
            "smtp:mx.example:pool_size=0": "smtp: pool_size='0' is",
            "smtp:unix=": "smtp: unix: the path of the socket is missing",
            "lmtp:unix=": "lmtp: unix: the path of the socket is missing",
            "smtp:mx.example:port=": "smtp: port='' is not a whole number",
            "smtp:mx.example:port=3:unix=/x": "smtp: port: it means nothing beside unix",
            "lmtp:mx.example:25:unix=/x": "lmtp: port: it means nothing beside unix",
            "smtp:mx.example:unix=/x:tls=none": "smtp: host: beside unix it is for a certificate",
            "lmtp:a:unix=/x:reference=b": "lmtp: host: beside unix it is for a certificate",
            "smtp:mx.example:tls=none:tls_first=yes": "without TLS there is no TLS first",
            "smtp:mx.example:tls=encrypt:trust=/nowhere": "trust: /nowhere",
            "smtp:2001:db8::1": "a colon within one needs brackets",
            "nothing:": "no relay 'nothing'; installed are",
        }
        for description, wanted in cases.items():
            self.assertIn(wanted, self.wrong(description))


class MxTests(MxTestCase):
    """C{mx:}, and what may be written behind it."""

    def setUp(self) -> None:
        """One domain at one host."""
        super().setUp()
        self.zone(d=["MX 10 m.example"])
        self.host("m", "192.0.2.1", "2001:db8::1")

    def said(self, description: str, recipient: str = "u@d.example") -> str:
        """Return the reply for a recipient, with a relay as it is described."""
        relay = self.runtime.relay(description)
        self.assertIsInstance(relay, MxSmtpRelay)
        message = Envelope.parse("a@client.example", [recipient], b"Subject: x\r\n\r\nx\r\n")
        [outcome] = self.reactor.wait(relay.attempt(message, 0))
        self.reactor.wait(relay.stop())
        return str(outcome.reply)

    def test_default(self) -> None:
        """Alone, it delivers to the exchanger on port 25."""
        self.assertEqual(self.said("mx:"), "250 2.0.0 taken")
        self.assertEqual(self.reactor.network.attempts[0].port, 25)

    def test_arguments(self) -> None:
        """Each argument arrives where it belongs."""
        refused = "550 5.4.4 m.example has no address that may be used"
        self.assertEqual(self.said("mx:deny_networks=192.0.2.0/24,[2001:db8::]/32"), refused)
        loop = "550 5.4.6 mail loops back to myself"
        self.assertEqual(self.said("mx:own=other.example,m.example"), loop)
        self.assertEqual(self.said("mx:own=[2001:db8::1]"), f"{loop}: m.example")
        self.assertTrue(self.said("mx:port=2525").startswith("451 4.4.1"))
        self.assertTrue(self.said("mx:tls=encrypt").startswith("451 4.7.4"))
        self.said("mx:ehlo_as=other.example:pool_size=1:destinations=1:stale=60")
        self.assertIn("C: EHLO other.example", self.hosts["m"].transcript)
        self.host("lo", "127.0.0.1")
        self.assertEqual(
            self.said("mx:allow_networks=127.0.0.0/8", "u@lo.example"), "250 2.0.0 taken"
        )

    def test_idle(self) -> None:
        """Connections are kept for 5 seconds, or as long as the description says."""
        for description, seconds in (("mx:", 5), ("mx:idle=7", 7)):
            relay = self.runtime.relay(description)
            message = Envelope.parse("a@client.example", ["u@d.example"], b"x\r\n")
            self.reactor.wait(relay.attempt(message, 0))
            self.reactor.advance(seconds - 0.1)
            self.assertTrue(self.reactor.leftovers().connections)
            self.reactor.advance(0.2)
            self.assertFalse(self.reactor.leftovers().connections)

    def test_wrong(self) -> None:
        """Every error names the relay and the part."""
        cases = {
            "mx:mx.example": "mx: ",
            "mx:port=0": "mx: port='0'",
            "mx:stale=x": "mx: stale='x' is not a number of seconds",
            "mx:deny_networks=x": "mx: deny_networks: 'x' is not a network",
            "mx:allow_networks=x": "mx: allow_networks: 'x' is not a network",
            "mx:own=a,,b": "mx: own='a,,b' has an empty entry",
            "mx:own=": "mx: own='' has an empty entry",
            "mx:own=a, ": "mx: own='a, ' has an empty entry",
            "mx:deny_networks=": "mx: deny_networks='' has an empty entry",
            "mx:allow_networks=192.0.2.0/24,": "mx: allow_networks='192.0.2.0/24,' has an empty",
            "mx:destinations=0": "mx: destinations='0'",
            "mx:credentials=/nowhere": "mx: unknown argument 'credentials'; beside its own there",
            "mx:reference=x": "mx: unknown argument 'reference'",
            "mx:prot=25": "mx: unknown argument 'prot'",
        }
        for description, wanted in cases.items():
            with self.assertRaises(ValueError) as caught:
                self.runtime.relay(description)
            self.assertIn(wanted, str(caught.exception))

    def test_documented(self) -> None:
        """The page tells of every argument, and of no other."""
        page = (Path(__file__).resolve().parents[2] / "docs" / "mx.rst").read_text()
        table = page.partition("All arguments\n---")[2].partition("All arguments of")[0]
        told = re.findall(r"^   \* - ``(\w+)``", table, re.MULTILINE)
        parameters = inspect.signature(parse_mx).parameters.values()
        own = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
        self.assertEqual(told, own)
        for name in NOT_OF_MX:
            self.assertIn(f"``{name}``", page)
