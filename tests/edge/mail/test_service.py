# -*- test-case-name: tests.edge.mail.test_service -*-
"""The mail service of the documentation: it keeps one domain's mail, and relays the rest."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from runpy import run_path
from textwrap import dedent
from typing import Any

from twisted.application.service import IService
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from slimtwist.edge.mail import RelayRealm
from slimtwist.testing import FakeSmarthost
from tests.edge.mail.world import HELLO, LOGIN, MESSAGE, MailTestCase
from tests.edge.spool import Spool
from tests.edge.world import STRANGER, Visitor, code
from tests.events import Events

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "mail_service.tac"


@cache
def example() -> dict[str, Any]:
    """Return what the file of the service defines; it asks for this host's name, once."""
    return run_path(str(EXAMPLE))


class ServiceTests(MailTestCase):
    """In memory, all but the Maildirs."""

    def setUp(self) -> None:
        """Start the service."""
        super().setUp()
        self.smarthost = FakeSmarthost()
        self.reactor.add_host("smarthost.example.com", self.smarthost, 587)
        self.folder = Path(self.mktemp())
        self.service = example()["make_service"](self.runtime, str(self.folder))
        self.service.privilegedStartService()
        self.service.startService()

    def tearDown(self) -> None:
        """Stop it, and see that nothing is left."""
        self.reactor.wait(self.service.stopService())
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections), ((), ()))

    def client(self) -> Visitor:
        """Return a client that said hello."""
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", 2525)
        visitor: Any = self.reactor.wait(endpoint.connect(Factory.forProtocol(Visitor)))
        self.say(visitor, HELLO)
        return visitor  # type: ignore[no-any-return]

    def kept(self) -> list[bytes]:
        """Return the messages in the Maildir of the postmaster."""
        return [path.read_bytes() for path in self.folder.glob("postmaster/new/*")]

    def test_application(self) -> None:
        """The file has what twistd looks for."""
        self.assertTrue(IService.providedBy(IService(example()["application"])))

    def test_local(self) -> None:
        """A message for the domain is kept, octet for octet; nobody else has a Maildir."""
        visitor = self.client()
        replies = self.send(visitor, b"postmaster@example.com", octets=MESSAGE + b"\xff\r\n")
        self.assertEqual(replies[-1], "250 2.0.0 taken")
        self.assertEqual(code(self.send(visitor, b"x@example.com")[-1]), "550")
        [octets] = self.kept()
        self.assertTrue(octets.startswith(b"Delivered-To: postmaster@example.com\nReceived: "))
        self.assertTrue(octets.endswith(b"\n" + MESSAGE.replace(b"\r", b"") + b"\xff\n"))
        self.assertEqual(self.smarthost.messages, [])

    def test_elsewhere(self) -> None:
        """All other mail goes to the smart host, whose replies come back."""
        self.smarthost.answers.rules = {"RCPT": {"no@x.example": "450 4.7.1 greylisted"}}
        visitor = self.client()
        self.assertEqual(self.send(visitor)[-1], "250 2.0.0 taken")
        self.assertIn("450 4.7.1 greylisted (smart", self.send(visitor, b"no@x.example")[-1])
        [message] = self.smarthost.messages
        self.assertEqual((message.sender, message.recipients), ("a@example.org", ("b@x.example",)))
        self.assertEqual(message.octets.count(b"Received: "), 1)
        self.assertTrue(message.octets.endswith(b"\r\n" + MESSAGE))
        self.assertEqual(self.kept(), [])


class Listening:
    """What a program listens with, in place of a reactor."""

    def __init__(self, case: MailTestCase) -> None:
        self._case = case

    def listenTCP(self, port: int, factory: Any) -> None:  # noqa: ANN401 - as in Twisted
        """Listen as the other tests do."""
        self._case.assertEqual(port, 25)
        self._case.open(factory)


class ServerTests(MailTestCase):
    """The server of the documentation."""

    def test_lines(self) -> None:
        """The first lines of the page do it; the log has the queue's name for the relay."""
        page = (EXAMPLE.parents[1] / "twisted-mail.rst").read_text()
        _, lines = page.split(".. code-block:: python\n\n", 1)
        snippet = dedent(lines.partition("\n\n")[0])
        self.assertEqual(len(snippet.splitlines()), 5)
        smarthost = FakeSmarthost()
        self.reactor.add_host("smarthost.example.com", smarthost, 587)
        events = Events.of(self)
        names = run_path(str(EXAMPLE.with_name("mail_server.py")))
        names |= {"default_runtime": lambda: self.runtime, "reactor": Listening(self)}
        exec(snippet, names)
        self.assertEqual(self.send(self.met())[-1], "250 2.0.0 taken")
        self.assertTrue(smarthost.messages[0].octets.endswith(b"\r\n" + MESSAGE))
        self.assertEqual([each["relay"] for each in events.attempts], ["smarthost"])

    def test_relayed(self) -> None:
        """What it takes goes to the smart host, whose reply comes back (L11)."""
        smarthost = FakeSmarthost({"RCPT": {"no@x.example": "450 4.7.1 greylisted"}})
        self.reactor.add_host("smarthost.example.com", smarthost, 587)
        self.open(run_path(str(EXAMPLE.with_name("mail_server.py")))["make_factory"](self.runtime))
        visitor = self.met()
        self.assertEqual(self.send(visitor)[-1], "250 2.0.0 taken")
        self.assertIn("450 4.7.1 greylisted (smart", self.send(visitor, b"no@x.example")[-1])
        self.assertTrue(smarthost.messages[0].octets.endswith(b"\r\n" + MESSAGE))
        stranger = self.met(STRANGER)
        self.assertEqual(code(self.send(stranger)[1]), "550 5.7.1")

    def test_check(self) -> None:
        """The check takes mail for its domain from everybody, and from those who are known."""
        example = run_path(str(EXAMPLE.with_name("mail_check.py")))
        delivery = example["make_delivery"](self.runtime, Spool("250 2.0.0 kept"))
        self.listen(RelayRealm(delivery))
        stranger = self.met(STRANGER)
        self.assertEqual(self.send(stranger)[1], "550 5.7.1 not through here")
        self.say(stranger, b"RSET\r\n")
        self.assertEqual(self.send(stranger, b"b@Example.COM")[-1], "250 2.0.0 kept")
        self.say(stranger, LOGIN)
        self.assertEqual(self.send(stranger)[-1], "250 2.0.0 kept")
