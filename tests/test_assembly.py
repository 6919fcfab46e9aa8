# -*- test-case-name: tests.test_assembly -*-
"""What an operator writes is what the relay does; what cannot be is refused before it listens."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import trustme
from twisted.cred.checkers import FilePasswordDB
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent

from slimtwist.runtime import Runtime
from tests.edge.http.world import Heard, post, responses
from tests.edge.world import Visitor
from tests.events import Events
from tests.plugins import BROKEN, NONSENSE, WRONG, install
from tests.relaying import HELLO, RelayTestCase, mail


class ChoiceTests(RelayTestCase):
    """What each choice changes."""

    def hello(self, endpoint: str = "tcp:127.0.0.1:2525") -> str:
        """Return the reply to EHLO."""
        return self.say(self.visit(endpoint), HELLO)[0]

    def test_default(self) -> None:
        """With nothing said it listens on loopback, and hands mail on."""
        service = self.start()
        self.assertEqual(
            [(address.host, address.port) for address in service.addresses],  # type: ignore[attr-defined]
            [("127.0.0.1", 2525)],
        )
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 taken")
        self.assertEqual(self.hop.messages[0].recipients, ("b@example.net",))

    def test_listeners(self) -> None:
        """Endpoints are repeatable, of each protocol; the default is for who names none."""
        service = self.start(smtp=["tcp:25:interface=127.0.0.1", "unix:/run/a"], lmtp=["unix:/b"])
        self.assertEqual(len(service.addresses), 3)
        for endpoint, word in [("tcp:127.0.0.1:25", "ESMTP"), ("unix:/run/a", "ESMTP")]:
            self.visit(endpoint)
            self.assertIn(word, self.greeting)
        self.visit("unix:/b")
        self.assertIn("LMTP", self.greeting)

    def test_clients(self) -> None:
        """What is allowed of clients is allowed on all endpoints together (L6)."""
        self.start(smtp=["unix:/run/a", "unix:/run/b"], lmtp=["unix:/run/c"], limit=["clients=2"])
        greetings = []
        for name in ("a", "c", "b", "c"):
            self.visit(f"unix:/run/{name}")
            greetings.append(self.greeting[:4])
        self.assertEqual(greetings, ["220 ", "220 ", "421 ", "421 "])

    def test_lmtp_alone(self) -> None:
        """Who asks for LMTP gets nothing else; it takes many recipients, and answers for each."""
        self.hop.answers.rules = {"RCPT": {"c@example.net": "550 5.1.1 unknown"}}
        self.assertEqual(len(self.start(lmtp=["unix:/run/lmtp"]).addresses), 1)
        said = b"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
        replies = self.codes(self.visit("unix:/run/lmtp"), said + b"DATA\r\nx: y\r\n.\r\n")
        self.assertEqual(replies[4:], ["354", "250 2.0.0", "550 5.1.1"])

    def test_http_alone(self) -> None:
        """Who asks for HTTP gets nothing else; it takes many recipients, and answers for each."""
        self.hop.answers.rules = {"RCPT": {"c@example.net": "550 5.1.1 unknown"}}
        service = self.start(http=["tcp:8025:interface=127.0.0.1"])
        self.assertEqual(len(service.addresses), 1)
        [heard] = self.post(post(recipients=["b@example.net", "c@example.net"]))
        self.assertEqual([code for _, code, _ in heard.results], [250, 550])
        self.reactor.wait(service.stopService())

    def test_tokens(self) -> None:
        """Tokens and passwords let clients of HTTP send to anywhere; SMTP knows no tokens."""
        tokens, users = Path(self.mktemp()), Path(self.mktemp())
        tokens.write_text("me:0123456789abcdef\n")
        users.write_text("you:secret\n")
        self.start(
            http=["tcp:8025:interface=127.0.0.1"],
            smtp=["unix:/run/smtp"],
            relay_from=["192.0.2.1"],
            tokens=[str(tokens)],
            checkers=[FilePasswordDB(str(users))],
        )
        bearer, basic = "Bearer 0123456789abcdef", "Basic eW91OnNlY3JldA=="
        for field, status in ((bearer, 204), (basic, 204), ("Bearer x", 401), ("Basic x", 401)):
            [heard] = self.post(post(f"Authorization: {field}"))
            self.assertEqual(heard.status, status, field)
        self.assertNotIn("AUTH", self.hello("unix:/run/smtp"))

    def post(self, octets: bytes) -> list[Heard]:
        """Send a request; return the responses."""
        connected: Deferred[Any] = clientFromString(self.reactor, "tcp:127.0.0.1:8025").connect(
            Factory.forProtocol(Visitor)
        )
        visitor: Visitor = self.reactor.wait(connected)
        visitor.transport.write(octets)
        self.reactor.advance(1)
        return responses(bytes(visitor.octets))

    def test_one_recipient(self) -> None:
        """In front of a direct queue an SMTP transaction takes one recipient (RFC 9422)."""
        self.start()
        self.assertIn("LIMITS RCPTMAX=1", self.hello())
        said = mail("b@example.net").replace(b"DATA\r\n", b"RCPT TO:<c@example.net>\r\nDATA\r\n")
        self.assertEqual(self.codes(self.visit(), said)[3], "452 4.5.3")

    def test_routes(self) -> None:
        """A domain has a relay of its own; equal descriptions share one, and its connections."""
        self.start(
            relay="blackhole:",
            route=[f"{domain}=smtp:smarthost.example" for domain in ("a.example", "*.a.example")],
        )
        for recipient in ("b@a.example", "b@b.a.example", "b@c.example"):
            self.assertTrue(self.send(recipient).startswith("250 "))
        taken = [message.recipients[0] for message in self.hop.messages]
        self.assertEqual(taken, ["b@a.example", "b@b.a.example"])
        self.assertEqual(len(self.hop.sessions), 1)

    def test_definitions(self) -> None:
        """A named relay is one, whoever uses it, and the log says which one decided (L11)."""
        events = Events.of(self)
        service = self.start(
            relay="both",
            define=[
                "both=fallback:nowhere:host",
                "host=smtp:smarthost.example",
                "nowhere=smtp:nowhere.example",
            ],
            route=["a.example=host", "b.example=blackhole:"],
        )
        for recipient in ("b@a.example", "b@b.example", "b@c.example"):
            self.assertTrue(self.send(recipient).startswith("250 "))
        self.assertEqual(
            [each["relay"] for each in events.attempts], ["host", "blackhole:", "host"]
        )
        self.assertEqual((len(self.hop.messages), len(self.hop.sessions)), (2, 1))
        self.reactor.wait(service.stopService())
        self.assertEqual(self.reactor.leftovers().connections, ())

    def test_unused(self) -> None:
        """A relay that nobody uses is not in the way when those end that it is made of."""
        service = self.start(
            relay="host",
            define=["x=fallback:y:host", "host=smtp:smarthost.example", "y=limit:host:rate=1/h"],
        )
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 taken")
        self.reactor.wait(service.stopService())
        self.assertEqual(self.reactor.leftovers().connections, ())

    def test_hostname(self) -> None:
        """The name is in the greeting, and said to the next hop."""
        self.start(hostname="mail.example.org")
        self.send("b@example.net")
        self.assertTrue(self.greeting.startswith("220 mail.example.org "))
        self.assertIn("C: EHLO mail.example.org", self.hop.transcript)

    def test_access(self) -> None:
        """Strangers reach accepted domains only, and who may relay is what was said."""
        self.start(accept=["*.own.example"], relay_from=["192.0.2.0/24"])
        self.assertEqual(self.send("b@example.net"), "550 5.7.1 relaying denied")
        self.assertTrue(self.send("b@mail.own.example").startswith("250 "))

    def test_relay_from_unix(self) -> None:
        """C{unix} stands for clients of UNIX sockets."""
        for networks, wanted in ((["unix"], "250 "), (["192.0.2.1"], "550 ")):
            service = self.start(smtp=["unix:/run/smtp"], relay_from=networks)
            reply = self.send("b@example.net", "unix:/run/smtp")
            self.assertTrue(reply.startswith(wanted), reply)
            self.reactor.wait(service.stopService())

    def test_limit(self) -> None:
        """A limit holds for what comes in."""
        self.start(limit=["message=1000"])
        self.assertIn("SIZE 1000", self.hello())

    def test_direct(self) -> None:
        """A wait holds for the queue: no client is kept longer."""
        self.hop.answers.rules = {".": ()}
        self.start(timeout=["direct=5"])
        visitor = self.visit()
        self.say(visitor, mail("b@example.net"))
        self.reactor.advance(6)
        self.assertIn("451 4.4.7 attempt took too long", visitor.replies()[0])

    def test_timeout(self) -> None:
        """A wait holds for the next hop of every relay, too."""
        self.hop.answers.rules = {".": ()}  # no answer ever
        self.start(timeout=["final=7"])
        visitor = self.visit()
        self.say(visitor, mail("b@example.net"))
        self.reactor.advance(6)
        self.assertEqual(visitor.replies(), [])
        self.reactor.advance(2)
        self.assertIn("451 4.4.2 timed out", visitor.replies()[0])

    def test_bare_newline(self) -> None:
        """A lone LF is refused, or made a line end if that was asked for (SMI cases)."""
        self.start()
        said = mail("b@example.net").replace(b"of one\r\n", b"of one\n").replace(b"line", b"l\ne")
        self.assertEqual(self.codes(self.visit(), said)[-1], "521 5.5.2")
        self.start(smtp=["unix:/n"], bare_newline="normalize")
        self.assertEqual(self.codes(self.visit("unix:/n"), said)[-1], "250 2.0.0")
        self.assertIn(b"l\r\ne", self.hop.messages[0].octets)

    def test_certificate(self) -> None:
        """With a certificate STARTTLS is offered, and AUTH only after it."""
        pem, passwords = Path(self.mktemp()), Path(self.mktemp())
        trustme.CA().issue_cert("mail.example").private_key_and_cert_chain_pem.write_to_path(
            str(pem)
        )
        passwords.write_text("me:secret\n")
        self.start(certificate=str(pem), checkers=[FilePasswordDB(str(passwords))])
        offered = self.hello()
        self.assertIn("STARTTLS", offered)
        self.assertNotIn("AUTH", offered)
        login = HELLO + b"AUTH PLAIN AG1lAHNlY3JldA==\r\n"
        self.assertEqual(self.codes(self.visit(), login)[-1], "538 5.7.11")


class NameTests(RelayTestCase):
    """What the host calls itself."""

    def warnings(self, own: str, **choices: object) -> list[str]:
        """Return what is warned of where a host has that name by itself."""
        events = Events.of(self)
        self.runtime = Runtime(self.reactor, hostname=own, random=Random(1))
        self.service(**choices)
        return [formatEvent(each) for each in events if each["log_level"].name == "warn"]

    def test_unqualified(self) -> None:
        """A name that nobody can look up is warned of, with the option that mends it."""
        for own in ("localhost", "mail"):
            (said,) = self.warnings(own)
            self.assertIn(f"calls itself {own}, which is no fully qualified name", said)
            self.assertIn("--hostname NAME", said)

    def test_qualified(self) -> None:
        """A full name, an address, and what the operator chose are not."""
        for own in ("mail.example.com", "[192.0.2.1]", "[IPv6:2001:db8::1]"):
            self.assertEqual(self.warnings(own), [])
        self.assertEqual(self.warnings("localhost", hostname="mail"), [])


class PluginTests(RelayTestCase):
    """Plugins of other packages."""

    def test_broken(self) -> None:
        """One that cannot be used is told of at the start, and does no harm (L10)."""
        install(self, tests_missing=BROKEN["tests_missing"][0], tests_nonsense=NONSENSE)
        events = Events.of(self)
        self.start()
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 taken")
        warnings = [each for each in events if "problem" in each]
        self.assertEqual({each["log_level"].name for each in warnings}, {"warn"})
        names = {each["name"] for each in warnings}
        self.assertIn("twisted.plugins.tests_missing", names)
        self.assertIn("twisted.plugins.tests_nonsense.smtp", names)
        self.assertEqual(len(warnings), 1 + len(WRONG))
        self.assertIn("cannot be used: ", formatEvent(warnings[0]))
        self.flushLoggedErrors(ModuleNotFoundError)


class WrongTests(RelayTestCase):
    """What cannot be, is said by option and part."""

    def wrong(self, **choices: object) -> str:
        """Return what is said of choices that cannot be."""
        with self.assertRaises(ValueError) as caught:
            self.service(**choices)
        return str(caught.exception)

    def test_named(self) -> None:
        """Every text names the option, the part at fault, and how to mend it."""
        cases: list[tuple[dict[str, Any], str]] = [
            (
                {"relay": "smtp host"},
                "--relay: 'smtp host' does not begin with the name of a relay",
            ),
            ({"relay": "nothing:"}, "--relay: no relay 'nothing'; installed are blackhole,"),
            ({"relay": "smtp:x:port=y"}, "--relay: smtp: port='y' is not a whole number"),
            ({"route": ["smtp:x"]}, "--route 'smtp:x': it is not DOMAIN=DESCRIPTION"),
            ({"route": ["a b=blackhole:"]}, "--route 'a b=blackhole:': 'a b' is not a domain"),
            ({"route": ["a=x:"]}, "--route 'a=x:': no relay 'x'"),
            (
                {"route": ["from=mx:"]},
                "--route 'from=mx:': the domain of the sender is missing: write",
            ),
            ({"route": ["a=blackhole:", "A=smtp:x"]}, "--route 'A=smtp:x': 'a' has a route"),
            ({"define": ["a"]}, "--define: 'a' is not NAME=DESCRIPTION"),
            ({"define": ["a=mx:", "a=mx:"]}, "--define: 'a' is given twice"),
            ({"define": ["smtp=mx:"]}, "--define: 'smtp' is a kind of relay already"),
            ({"define": ["a=smtp:"]}, "--define a: smtp: the host is missing"),
            ({"define": ["a=fallback:b", "b=a"]}, "--define a: fallback: 'a' is made of itself: a"),
            ({"define": ["a=fallback:c"]}, "--define a: fallback: no relay 'c'; installed are"),
            ({"queue": "spool:/x"}, "--queue: there is no queue 'spool:/x'; write direct:"),
            ({"hostname": ""}, "--hostname: '' is neither a host name nor"),
            ({"hostname": "a b"}, "--hostname: 'a b' is neither a host name nor"),
            ({"accept": ["*"]}, "--accept '*' is not a domain"),
            ({"relay_from": ["host"]}, "--relay-from 'host': "),
            ({"relay_from": ["192.0.2.1/24"]}, "--relay-from '192.0.2.1/24': "),
            ({"certificate": "/nowhere"}, "--certificate: /nowhere: No such file"),
            ({"limit": ["message"]}, "--limit: 'message' is not NAME=VALUE"),
            ({"limit": ["massage=1"]}, "--limit: unknown name 'massage'; known are"),
            ({"limit": ["message=1", "message=2"]}, "--limit: 'message' is given twice"),
            ({"limit": ["message=-1"]}, "--limit: message='-1' is not above 0"),
            ({"timeout": ["stop=soon"]}, "--timeout: stop='soon' is not a number"),
            ({"bare_newline": "keep"}, "--bare-newline: bare newline 'keep' is not 'reject'"),
            ({"smtp": ["2525"]}, "--smtp '2525': "),
            ({"smtp": ["tcp:x"]}, "--smtp 'tcp:x': "),
            ({"lmtp": ["tcp:25"]}, "--lmtp 'tcp:25': LMTP must never be spoken on port 25"),
            ({"lmtp": ["unix:/x", "tcp6:port=25"]}, "--lmtp 'tcp6:port=25': LMTP must never be"),
            ({"lmtp": ["nothing:x"]}, "--lmtp 'nothing:x': "),
            ({"http": ["nothing:x"]}, "--http 'nothing:x': "),
            ({"tokens": ["/x"]}, "--tokens: tokens are for clients of --http"),
            ({"tokens": ["/nowhere"], "http": ["unix:/x"]}, "--tokens: /nowhere: No such file"),
            (
                {"http": ["tcp:8025"], "checkers": [FilePasswordDB("/x")]},
                "--auth: passwords are taken under TLS only",
            ),
            (
                {"http": ["tcp:8025"], "tokens": [self.tokens()]},
                "--tokens: they are taken under TLS only",
            ),
            ({"checkers": [FilePasswordDB("/x")]}, "--auth: passwords are taken under TLS only"),
        ]
        for choices, wanted in cases:
            text = self.wrong(**choices)
            self.assertTrue(text.startswith(wanted), text)

    def tokens(self) -> str:
        """Return the name of a file with a token."""
        path = Path(self.mktemp())
        path.write_text("me:0123456789abcdef\n")
        return str(path)

    def test_key_missing(self) -> None:
        """A certificate without its key is of no use to a server (OS-12)."""
        pem = Path(self.mktemp())
        trustme.CA().cert_pem.write_to_path(str(pem))
        self.assertEqual(
            self.wrong(certificate=str(pem)),
            f"--certificate: {pem}: there is no private key in it",
        )

    def test_endpoint_example(self) -> None:
        """Who writes a port only is shown an endpoint."""
        self.assertIn("write an endpoint such as tcp:2525", self.wrong(smtp=["2525"]))

    def test_open_relay(self) -> None:
        """No relay for strangers is started (issue 2, 5), wherever they could come from."""
        everybody = ["0.0.0.0/0"]
        for endpoint in ("tcp:25", "haproxy:tcp:25", "tcp:25:interface=1.2.3.4"):
            text = self.wrong(smtp=[endpoint], relay_from=everybody)
            self.assertTrue(text.startswith("--relay-from 0.0.0.0/0 would let strangers"), text)
        halves = ["0.0.0.0/1", "128.0.0.0/1"]
        self.assertIn("strangers", self.wrong(lmtp=["tcp:24"], relay_from=halves))
        self.assertIn("strangers", self.wrong(http=["tcp:80"], relay_from=everybody))
        self.assertIn("strangers", self.wrong(smtp=["tcp6:25"], relay_from=["::/0"]))

    def test_closed(self) -> None:
        """Where only this host can connect, everybody is this host."""
        local = ["unix:/run/x", "tcp:2526:interface=127.0.0.1", "tcp6:2527:interface=\\:\\:1"]
        self.start(smtp=local, relay_from=["0.0.0.0/0", "::/0"])
        self.assertTrue(self.send("b@example.net", "tcp:127.0.0.1:2526").startswith("250 "))

    def test_nothing_listens(self) -> None:
        """Nothing has begun to listen when something is wrong (OS-12)."""
        self.wrong(relay="nothing:")
        self.assertEqual(self.reactor.leftovers().ports, self.before)

    def setUp(self) -> None:
        """Note what listens before."""
        super().setUp()
        self.before = self.reactor.leftovers().ports
