# -*- test-case-name: tests.pages.test_examples -*-
"""Examples of how-to pages, on a network in memory."""

from __future__ import annotations

from base64 import b64encode
from runpy import run_path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.runtime import Runtime
from slimtwist.testing import Body, MemoryReactor, ScriptedPeer
from tests.pages.rst import ROOT

_GREETING = ["S: 220 smtp.example.com", "C: EHLO me.example", "S: 250-smtp.example.com"]
_OFFER = "S: 250 AUTH OAUTHBEARER"


def initial(token: str) -> str:
    """Return what a client says of itself by OAUTHBEARER (RFC 7628 3.1)."""
    return b64encode(f"n,a=me@example.org,\1auth=Bearer {token}\1\1".encode()).decode()


class TokenTests(SynchronousTestCase):
    """A smart host that wants tokens."""

    def test_token(self) -> None:
        """The relay gets a token and shows it; one that was refused is replaced."""
        host = ScriptedPeer(
            [
                *_GREETING,
                _OFFER,
                f"C: AUTH OAUTHBEARER {initial('old')}",
                "S: 535 5.7.8 expired",
                f"C: AUTH OAUTHBEARER {initial('new')}",
                "S: 235 2.7.0 welcome",
                "C: MAIL FROM:<me@example.org>",
                "S: 250 2.1.0 ok",
                "C: RCPT TO:<you@example.net>",
                "S: 250 2.1.5 ok",
                "C: DATA",
                "S: 354 go on",
                Body(),
                "S: 250 2.0.0 taken",
            ]
        )
        reactor = MemoryReactor()
        reactor.add_host("smtp.example.com", host, 587)
        tokens = ["old", "new"]

        async def fresh_token() -> str:
            return tokens.pop(0)

        make_relay = run_path(str(ROOT / "docs" / "examples" / "oauth.py"))["make_relay"]
        relay = make_relay(
            "smtp.example.com",
            "me@example.org",
            fresh_token,
            runtime=Runtime(reactor, "me.example"),
            tls="none",
            auth_insecure=True,
        )
        message = Envelope.parse("me@example.org", ["you@example.net"], b"Subject: x\r\n\r\n")
        report = reactor.wait(relay.attempt(message, 0))
        self.assertEqual([str(each.reply) for each in report], ["250 2.0.0 taken"])
