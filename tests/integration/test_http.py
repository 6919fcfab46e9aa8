# -*- test-case-name: tests.integration.test_http -*-
"""Mail over HTTP, with real programs: curl, nginx, python-slimta, and two relays of our own."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from random import Random

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from slimtwist.relay.http import HttpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost
from tests.integration.certificates import Authority
from tests.integration.clients import run, swaks
from tests.integration.daemons import DaemonCase
from tests.integration.dialogue import in_thread, send, session
from tests.integration.smarthost import SmarthostCase
from tests.integration.web import (
    Nginx,
    SlimtaEdge,
    WebDaemon,
    below_traces,
    scripts,
    slimta,
)

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n.\r\n..\xc3\xa4\r\n"


class WebCase(DaemonCase):
    """Has a next hop in this process."""

    def place(self) -> Path:
        """Return a path that is free."""
        return Path(self.mktemp()).resolve()

    def hop(self, rules: Mapping[str, str]) -> str:
        """Let a next hop listen; return the description of a relay to it."""
        self.smarthost = FakeSmarthost({"RCPT": dict(rules)})
        reactor: object = _reactor
        port = reactor.listenTCP(0, self.smarthost, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return f"smtp:127.0.0.1:port={port.getHost().port}"

    def web(self, *arguments: str, **rules: str) -> WebDaemon:
        """Start a relay from HTTP to the next hop."""
        relay = self.hop({f"{name}@far.test": reply for name, reply in rules.items()})
        return self.serve(WebDaemon("--relay", relay, *arguments))


class BothTests(WebCase):
    """SMTP, a relay, HTTP, another relay, SMTP."""

    timeout = 180.0

    async def test_refusal(self) -> None:
        """A refusal of the far SMTP server comes back through HTTPS to the first client, with its
        code and its text (issue 5, L11).
        """
        authority = Authority()
        pem = authority.certificate("127.0.0.1").save(self.place())
        trust = authority.save(self.place())
        tokens = self.credentials("near:0123456789abcdef")
        token = self.credentials("0123456789abcdef")
        relay = self.hop(
            {"gone@far.test": '550 5.1.1 no "such" user', "full@far.test": "452 4.2.2 full"}
        )
        far = self.serve(
            WebDaemon(
                *("--relay", relay, "--tokens", str(tokens), "--relay-from", "192.0.2.1"), pem=pem
            )
        )
        url = f"https\\://127.0.0.1\\:{far.port}/messages/"
        near = self.relay(f"https:url={url}:trust={trust}:bearer={token}")
        for recipient, status, wanted in (
            ("gone@far.test", 26, ' 550 5.1.1 no "such" user (127.0.0.1'),
            ("full@far.test", 26, " 452 4.2.2 full (127.0.0.1"),
            ("r@far.test", 0, " 250 2.0.0 taken"),
        ):
            arguments = ("--from", "s@a.test", "--to", recipient)
            finished = await swaks(near.port, *arguments, octets=_MESSAGE)
            self.assertEqual(finished.status, status, finished.text)
            self.assertIn(wanted, finished.text)
        [message] = self.smarthost.messages
        self.assertIn(b"by web.test with HTTPS", message.octets)
        self.assertIn("verdict=failed", near.events()[0])
        wrong = self.credentials("fedcba9876543210")
        stranger = self.relay(
            f"https:url={url}:trust={trust}:bearer={wrong}:spare_configuration=yes"
        )
        finished = await swaks(
            stranger.port, "--from", "s@a.test", "--to", "r@b.test", octets=_MESSAGE
        )
        self.assertIn(" 451 4.7.8 HTTP 401: 535 5.7.8 authentication failed", finished.text)
        self.assertNotIn("fedcba", stranger.log() + far.log())

    async def test_octets(self) -> None:
        """1,000 messages arrive octet for octet the same (issue 5, L8)."""
        far = self.web()
        near = self.relay(far.url)
        random = Random(5)
        messages = [self.message(random, number) for number in range(1000)]
        parts = [messages[start::4] for start in range(4)]
        sending = [in_thread(self.send, near.port, part) for part in parts]
        for each in sending:
            self.assertEqual(await each, 250)
        arrived = {below_traces(each.octets) for each in self.smarthost.messages}
        self.assertEqual(len(self.smarthost.messages), 1000)
        self.assertEqual(arrived, set(messages))
        self.smarthost.verify()

    def message(self, random: Random, number: int) -> bytes:
        """Return a message of octets that HTTP or SMTP could mistake."""
        pieces = [
            b".",
            b"..",
            b"\r\n",
            b"\r\n.\r\n",
            b"0\r\n\r\n",
            b"\x80\xff",
            b" ",
            b"x" * 70,
            b"\t",
        ]
        size = random.choice([0, 10, 100, 1000])
        body = b"".join(random.choice(pieces) for _ in range(size))
        return b"Subject: %d\r\n\r\n%b\r\n" % (number, body)

    def send(self, port: int, messages: list[bytes]) -> int:
        """Send messages; return the code that all of them got."""
        with session(port) as smtp:
            codes = {send(smtp, "s@a.test", ["r@far.test"], each)[0] for each in messages}
        return codes.pop() if len(codes) == 1 else 0


class CurlTests(WebCase):
    """curl as the client, alone and through nginx."""

    async def curl(
        self,
        url: str,
        octets: bytes,
        *arguments: str,
        to: str = "r@far.test",
        kind: str = "message/rfc822",
    ) -> str:
        """Post a message; return the response."""
        fields = {
            "Content-Type": kind,
            "X-Envelope-Sender": b64encode(b"s@a.test").decode(),
            "X-Envelope-Recipient": b64encode(to.encode()).decode(),
        }
        headers = [part for name, value in fields.items() for part in ("-H", f"{name}: {value}")]
        finished = await run(
            "curl", "-si", *headers, "--data-binary", "@-", *arguments, url, stdin=octets
        )
        self.assertEqual(finished.status, 0, finished.text)
        return finished.text

    async def test_alone(self) -> None:
        """A message, one that is large, one that is refused, one whose line ends are not CRLF."""
        web = self.web(gone="550 5.1.1 gone")
        large = _MESSAGE + (b"y" * 70 + b"\r\n") * 50_000
        for octets in (_MESSAGE, large):
            self.assertIn("HTTP/1.1 204 ", await self.curl(web.url, octets))
        chunked = await self.curl(web.url, large, "-H", "Transfer-Encoding: chunked")
        self.assertIn("HTTP/1.1 204 ", chunked)
        for number, octets in enumerate((_MESSAGE, large, large)):
            self.assertTrue(self.smarthost.messages[number].octets.endswith(octets))
        refused = await self.curl(web.url, _MESSAGE, to="gone@far.test")
        self.assertIn("HTTP/1.1 500 ", refused)
        self.assertIn('X-Smtp-Reply: 550; message="5.1.1 gone (127.0.0.1', refused)
        self.assertIn("\n550 5.1.1 gone (127.0.0.1", refused)
        self.assertIn("HTTP/1.1 400 ", await self.curl(web.url, b"Subject: x\n\nhello\n"))
        self.assertIn("HTTP/1.1 415 ", await self.curl(web.url, large, kind="a/b"))

    async def test_proxy(self) -> None:
        """Through nginx it is the same, however that passes requests on."""
        web = self.web(gone="550 5.1.1 gone")
        large = _MESSAGE + (b"y" * 70 + b"\r\n") * 50_000
        for version, buffering in (("1.1", False), ("1.1", True), ("1.0", True)):
            nginx = self.serve(Nginx(web.port, version=version, buffering=buffering))
            for octets in (_MESSAGE, large):
                self.assertIn("HTTP/1.1 204 ", await self.curl(nginx.url, octets))
                self.assertTrue(self.smarthost.messages[-1].octets.endswith(octets))
            refused = await self.curl(nginx.url, _MESSAGE, to="gone@far.test")
            self.assertIn('X-Smtp-Reply: 550; message="5.1.1 gone (127.0.0.1', refused)
            health = await run("curl", "-si", nginx.url.replace("messages/", "health"))
            self.assertIn("HTTP/1.1 200 OK", health.text)


class RelayTests(WebCase, SmarthostCase):
    """Our relay through nginx."""

    def setUp(self) -> None:
        """Have a runtime."""
        super().setUp()
        self.runtime = Runtime(_reactor, hostname="relay.test")

    def to_url(self, url: str) -> HttpRelay:
        """Return a relay that is stopped at the end."""
        relay = HttpRelay(url, runtime=self.runtime, timeout=20.0)
        self.addCleanup(relay.stop)
        return relay

    async def test_proxy(self) -> None:
        """Outcomes of several recipients, and large messages, pass nginx."""
        web = self.web(gone="550 5.1.1 gone", full="452 4.2.2 full")
        large = _MESSAGE + (b"y" * 70 + b"\r\n") * 30_000
        for buffering in (False, True):
            nginx = self.serve(Nginx(web.port, buffering=buffering))
            relay = self.to_url(nginx.url)
            recipients = ["r@far.test", "gone@far.test", "full@far.test"]
            for octets in (_MESSAGE, large):
                outcomes = await self.send(relay, *recipients, octets=octets)
                codes = [outcome.reply.code for outcome in outcomes]
                self.assertEqual(codes, [250, 550, 452], nginx.log())
        self.assertEqual(len(self.smarthost.messages), 4)

    async def test_nobody_behind(self) -> None:
        """The proxy's own 502 defers mail."""
        nginx = self.serve(Nginx(1))
        told = await self.told(self.to_url(nginx.url))
        self.assertEqual(told, ["deferred at end of data: 451 4.3.0 HTTP 502 Bad Gateway"])

    async def test_slimta(self) -> None:
        """python-slimta takes what our relay sends, and its refusals are understood (issue 5)."""
        edge = self.serve(SlimtaEdge())
        relay = self.to_url(f"http://127.0.0.1:{edge.port}/")
        octets = _MESSAGE + (b"y" * 70 + b"\r\n") * 20_000
        for each in (_MESSAGE, octets):
            told = await self.told(relay, "a@b.test", "c@b.test", octets=each)
            self.assertEqual(
                told, ["delivered at end of data: 250 2.6.0 Message accepted for delivery"] * 2
            )
        self.assertEqual(
            [(t.sender, t.recipients, t.helo, t.octets) for t in edge.taken()],
            [
                ("s@a.test", ["a@b.test", "c@b.test"], "relay.test", each)
                for each in (_MESSAGE, octets)
            ],
        )
        for recipient, wanted in (
            ("never@b.test", 'failed at end of data: 550 5.1.1 no "such" user'),
            ("later@b.test", "deferred at end of data: 450 4.2.1 not now"),
        ):
            self.assertEqual(await self.told(relay, recipient), [wanted])
        self.assertEqual(
            await self.told(relay, sender=""),
            ["delivered at end of data: 250 2.6.0 Message accepted for delivery"],
        )


class SlimtaTests(WebCase):
    """python-slimta as the client."""

    async def slimta(self, url: str, recipients: list[str], *messages: bytes) -> list[str]:
        """Send messages; return what became of each."""
        folder = self.place()
        folder.mkdir()
        order = {
            "url": url,
            "sender": "s@a.test",
            "recipients": recipients,
            "messages": [b64encode(each).decode() for each in messages],
        }
        sending: Deferred[tuple[bytes, bytes, int]] = getProcessOutputAndValue(
            slimta(), [str(scripts(folder) / "send.py")], stdinBytes=json.dumps(order).encode()
        )
        output, errors, status = await sending
        self.assertEqual(status, 0, errors.decode())
        return output.decode().splitlines()

    async def test_taken(self) -> None:
        """Its relay sends what our edge takes (issue 5)."""
        web = self.web()
        large = _MESSAGE + (b"y" * 70 + b"\r\n") * 20_000
        told = await self.slimta(web.url, ["a@far.test", "b@far.test"], _MESSAGE, large, _MESSAGE)
        self.assertEqual(told, ["delivered 250 2.0.0 taken"] * 3)
        for message, octets in zip(
            self.smarthost.messages, (_MESSAGE, large, _MESSAGE), strict=True
        ):
            self.assertEqual(
                (message.sender, message.recipients), ("s@a.test", ("a@far.test", "b@far.test"))
            )
            self.assertTrue(message.octets.endswith(octets))
            self.assertIn(b"from slimta.test ([127.0.0.1])", message.octets)

    async def test_refused(self) -> None:
        """It understands our refusals, and does not take a half success for one."""
        web = self.web(gone="550 5.1.1 gone", full="452 4.2.2 full")
        for recipients, wanted in (
            (["gone@far.test"], "550 5.1.1 gone (127.0.0.1"),
            (["full@far.test"], "452 4.2.2 full (127.0.0.1"),
            (["r@far.test", "gone@far.test"], "451 4.0.0 outcomes differ"),
        ):
            [told] = await self.slimta(web.url, recipients, _MESSAGE)
            self.assertIn(wanted, told)
            self.assertIn("RelayError", told)
