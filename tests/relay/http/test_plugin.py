# -*- test-case-name: tests.relay.http.test_plugin -*-
"""Descriptions of the relay to an HTTP service."""

from __future__ import annotations

from pathlib import Path

from slimtwist.relay.http import HttpRelay
from slimtwist.relay.http.plugin import ARGUMENTS
from slimtwist.testing import StartTls
from tests.relay.http.world import HttpRelayCase, Take, answer
from tests.smtp.certificates import CLIENT, issue

URL = "http\\://service.example/in"


class DescriptionTests(HttpRelayCase):
    """What an operator writes."""

    def setUp(self) -> None:
        """Have a place for secrets."""
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def write(self, name: str, content: str | bytes) -> str:
        """Return the name of a file."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def described(self, description: str) -> HttpRelay:
        """Return what a description describes."""
        relay = self.runtime.relay(description)
        assert isinstance(relay, HttpRelay)
        return relay

    def test_url(self) -> None:
        """An address alone is enough."""
        self.serve([Take(), answer("204 Ok")])
        self.assertEqual(
            self.told(self.described("http://service.example/x")), "250 2.0.0 HTTP 204 Ok"
        )
        self.assertIn(b"POST /x HTTP/1.1", self.peer.bodies[0])
        self.assertEqual(repr(self.described("https://h/")), "<HttpRelay h:443>")

    def test_all(self) -> None:
        """Every argument has its effect."""
        token = self.write("token", "0123456789abcdef\n")
        key = self.write("key", b"\x00\xff0123456789abcdef\n")
        relay = self.described(
            f"http:url={URL}:verb=PUT:pool_size=1:timeout=7:idle_timeout=2:ehlo_as=me.example:"
            f"auth_insecure=yes:connect=3:bearer={token}:key={key}:ehlo_field=X-A:sender_field=X-B:"
            "recipient_field=X-C:spare_configuration=yes:status_418=554 5.9.9 tea"
        )
        self.serve([Take(), answer("404 No"), Take(), answer("418 Tea"), Take()])
        self.assertEqual(self.told(relay)[:9], "451 4.3.5")
        self.assertEqual(self.told(relay)[:13], "554 5.9.9 tea")
        begun = self.reactor.seconds()
        self.assertIn("no response in 7 s", self.told(relay))
        self.assertAlmostEqual(self.reactor.seconds() - begun, 7, delta=0.1)
        self.assertIn(b"PUT /in HTTP/1.1\r\n", self.peer.bodies[0])
        for field in (b"X-A: me", b"X-B:", b"X-C:", b"X-Signature: ", b"Authorization: Bearer 0"):
            self.assertIn(b"\r\n" + field, self.peer.bodies[0])

    def test_times(self) -> None:
        """Waits for connecting and of idle connections."""
        relay = self.described(f"http:url={URL}:connect=3:idle_timeout=2")
        self.serve([Take(), answer("204 Ok")])
        self.told(relay)
        self.reactor.advance(2.1)
        self.assertFalse(self.reactor.network.wires[0].open)
        self.reactor.network.black_holes.add("192.0.2.1")
        begun = self.reactor.seconds()
        self.assertIn("451 4.4.1", self.told(relay))
        self.assertAlmostEqual(self.reactor.seconds() - begun, 3, delta=0.1)

    def test_basic(self) -> None:
        """A name and a password; over a UNIX socket nobody listens in."""
        login = self.write("login", "me:pass\u00fc:word\n")
        relay = self.described(f"http:url={URL}:basic={login}:unix=/run/x")
        self.serve([Take(), answer("204 Ok")])
        self.reactor.listenUNIX("/run/x", self.peer)
        self.told(relay)
        self.assertIn(b"\r\nAuthorization: Basic bWU6cGFzc8O8OndvcmQ=\r\n", self.peer.bodies[0])

    def test_tls(self) -> None:
        """Trust, name and our own certificate."""
        self.reactor.network.opaque = False
        server, client = issue("mail.example"), issue("me.example", usage=CLIENT)
        context = server.identity.options(client.trust.root)
        self.serve([StartTls(context), Take(), answer("204 Ok")], port=443)
        trust = self.write("trust.pem", server.pem)
        own = self.write("own.pem", client.pem)
        relay = self.described(
            f"https:url=https\\://service.example/:trust={trust}:reference=mail.example:certificate={own}"
        )
        self.assertEqual(self.told(relay), "250 2.0.0 HTTP 204 Ok")

    def test_wrong(self) -> None:
        """What is wrong is named, and no secret is shown."""
        two = self.write("two", "secret\nsecret\n")
        odd = self.write("odd", b"\xffsecret")
        short = self.write("short", "secret")
        for description, wanted in {
            "http:": "the address is missing: write http://HOST/PATH",
            "http:url=x": "url: it is not of the form",
            f"https:url={URL}": "https: url: it does not begin with https://",
            f"http:url={URL}:unix=": "http: unix: the path of the socket is missing",
            f"http:url={URL}:status_404=no": "http: status_404: 'no' is not a reply",
            f"http:url={URL}:status_404=250 2.0.0 ok": "status_404: '250 2.0.0 ok' is nothing",
            "http:url=http\\://": "url: ",
            "http:url=http\\://h\\:x/": "url: ",
            "http://me:secret@h/": "url: it holds a password",
            f"http:url={URL}:x=y": "unknown argument 'x'",
            f"http:url={URL}:pool_size=0": "http: pool_size='0'",
            f"http:url={URL}:timeout=soon": "http: timeout='soon'",
            f"http:url={URL}:connect=soon": "connect='soon'",
            f"http:url={URL}:idle_timeout=-1": "idle_timeout='-1'",
            f"http:url={URL}:verb=get": "verb='get'",
            f"http:url={URL}:ehlo_as=a b": "ehlo_as: ",
            f"http:url={URL}:sender_field=a b": "no name of a field",
            f"http:url={URL}:spare_configuration=maybe": "spare_configuration='maybe'",
            f"http:url={URL}:status_404=250 ok": "status 404",
            f"http:url={URL}:status_999=451 x": "unknown argument 'status_999'",
            f"http:url={URL}:bearer=/nowhere": "bearer: /nowhere: No such file",
            f"http:url={URL}:bearer={two}": "bearer: ",
            f"http:url={URL}:basic={odd}": "basic: ",
            f"http:url={URL}:basic={short}:auth_insecure=yes": "no colon",
            f"http:url={URL}:bearer={short}": "a token or a password wants https://",
            f"http:url={URL}:key={short}": "at least 16 octets",
            f"http:url={URL}:trust={short}": "trust: ",
        }.items():
            with self.assertRaises(ValueError) as caught:
                self.described(description)
            self.assertIn(wanted, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception).replace(description, ""))

    def test_names(self) -> None:
        """What an error tells of known arguments is all of them."""
        with self.assertRaises(ValueError) as caught:
            self.described(f"http:url={URL}:x=y")
        for name in ARGUMENTS:
            self.assertIn(name, str(caught.exception))
