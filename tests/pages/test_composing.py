# -*- test-case-name: tests.pages.test_composing -*-
"""What the pages on composing show works, and the page names every argument."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.installed import installed
from slimtwist.listing import listing
from slimtwist.testing import MemoryReactor
from tests.pages.rst import ROOT, page
from tests.relaying import RelayTestCase

#: Relays that are made of others.
COMPOSED = ("fallback", "limit", "route", "headers", "split", "forward")


class ArgumentTests(SynchronousTestCase):
    """The page against the listing."""

    def test_arguments(self) -> None:
        """Every argument of every relay that is made of others is there."""
        text, listed = page("composing"), listing(installed())
        for prefix in COMPOSED:
            self.assertIn(f"``{prefix}:", text)
            found = re.search(rf"(?m)^  {prefix}:\n      .*\n      Arguments: (.*)\.$", listed)
            assert found is not None
            for argument in found[1].split(", "):
                name = re.split(r"[ =.]", argument)[0]
                if name not in ("relay", "relays", "default", "routes", "named"):
                    self.assertRegex(text, rf"``(?:[^`]*:)?{name}\b", prefix)


class ExampleTestCase(RelayTestCase):
    """Starts the service of an example."""

    def begin(self, name: str) -> None:
        """Start it, in memory, with its smart host."""
        self.reactor = MemoryReactor(start=1_700_000_000.0)
        self.reactor.add_host("smarthost.example.com", self.hop, 587)
        example = run_path(str(ROOT / "docs" / "examples" / f"{name}.tac"))
        self.assertTrue(IService.providedBy(IService(example["application"])))
        self.service_started = example["make_service"](type(self.runtime)(self.reactor))
        self.service_started.privilegedStartService()
        self.service_started.startService()

    def end(self) -> None:
        """Stop it, and see that nothing is left."""
        self.reactor.wait(self.service_started.stopService())
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections), ((), ()))


class HeaderFilterTests(ExampleTestCase):
    """C{header_filter.tac}."""

    def test_filter(self) -> None:
        """Each message says where it came from, and the log who has delivered it; a large one is
        refused.
        """
        self.begin("header_filter")
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 taken")
        self.assertTrue(self.hop.messages[0].octets.startswith(b"X-Client: 127.0.0.1\r\nReceived:"))
        visitor = self.visit()
        self.say(visitor, b"HELO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n")
        replies = self.say(visitor, b"x" * 70 + b"\r\n" + b"y\r\n" * 400_000 + b".\r\n")
        self.assertEqual(replies, ["552 5.3.4 a megabyte is enough"])
        self.assertEqual(len(self.hop.messages), 1)
        visitor.transport.loseConnection()
        self.end()


class Browser(Protocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.octets = b""

    def dataReceived(self, octets: bytes) -> None:
        """Keep it."""
        self.octets += octets


class WebFormTests(ExampleTestCase):
    """C{web_form.tac}."""

    def post(self, body: bytes, within: float = 60.0) -> bytes:
        """Return what a browser gets for a form."""
        endpoint = clientFromString(self.reactor, "tcp:127.0.0.1:8080")
        connected: Deferred[Any] = endpoint.connect(Factory.forProtocol(Browser))
        browser: Any = self.reactor.wait(connected)
        fields = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d" % len(
            body
        )
        browser.transport.write(b"POST / HTTP/1.0\r\n%b\r\n\r\n%b" % (fields, body))
        self.reactor.advance(within)
        octets: bytes = browser.octets
        return octets

    def test_form(self) -> None:
        """What was written is sent, in any script, and the browser is told what became of it; what
        looks like a header is text (L5).
        """
        self.begin("web_form")
        told = self.post(b"from=J%C3%BCrgen%0D%0ABcc%3A+x%40y&text=hello%0D%0A.")
        self.assertTrue(told.startswith(b"HTTP/1.0 200 "), told)
        self.assertTrue(told.endswith(b"\r\n\r\ndelivered: 250 2.0.0 taken\n"), told)
        [message] = self.hop.messages
        self.assertEqual(message.recipients, ("info@example.com",))
        self.assertEqual(message.sender, "web@example.com")
        header, _, body = message.octets.partition(b"\r\n\r\n")
        self.assertNotIn(b"Bcc", header)
        self.assertIn(b"hello\r\n.\r\n", body)
        self.end()

    def test_trouble(self) -> None:
        """So it is when the smart host does not want it, or is not there."""
        self.begin("web_form")
        self.hop.answers.rules = {".": "550 5.7.1 spam"}
        self.assertIn(b"502 Bad Gateway", self.post(b"text=x"))
        self.hop.answers.rules = {"RCPT": "450 4.2.1 later"}
        told = self.post(b"text=x")
        self.assertIn(b"503 Service Unavailable", told)
        self.assertIn(b"deferred: 450 4.2.1 later\n", told)
        self.end()

    def test_gone(self) -> None:
        """A browser that leaves does not end the attempt, nor is anything written to it."""
        self.begin("web_form")
        endpoint = clientFromString(self.reactor, "tcp:127.0.0.1:8080")
        connected: Deferred[Any] = endpoint.connect(Factory.forProtocol(Browser))
        browser: Any = self.reactor.wait(connected)
        browser.transport.write(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        browser.transport.loseConnection()
        self.reactor.advance(60)
        self.assertEqual(len(self.hop.messages), 1)
        self.end()


class PageTests(SynchronousTestCase):
    """Which pages show which examples."""

    def test_shown(self) -> None:
        """Each example is shown on a page."""
        pages = "".join(path.read_text() for path in Path(ROOT, "docs").glob("*.rst"))
        for path in (ROOT / "docs" / "examples").glob("*.tac"):
            self.assertIn(f".. literalinclude:: examples/{path.name}\n", pages)
