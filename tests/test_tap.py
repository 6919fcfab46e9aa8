# -*- test-case-name: tests.test_tap -*-
"""``twistd relay``: from a command line to mail that arrives, or to what has to be mended."""

from __future__ import annotations

import re
import socket
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

import slimtwist
from slimtwist.limits import Limits, Timeouts
from slimtwist.policy.headers import AddHeader
from slimtwist.relay.policy import PolicyRelay
from slimtwist.relay.shared import SharedRelay
from slimtwist.runtime import Runtime
from slimtwist.tap import Options, makeService
from slimtwist.testing import FakeSmarthost, MemoryReactor
from tests.daemon import Daemon, Wire, listening
from tests.edge.world import Visitor
from tests.integration.programs import require_root
from tests.plugins import BROKEN, GOOD, write
from tests.relaying import mail

FREE = "tcp:0:interface=127.0.0.1"


def relay_to(hop: socket.socket) -> str:
    """Return the description of a relay to a listening socket."""
    return f"smtp:127.0.0.1:port={hop.getsockname()[1]}"


class OptionTests(SynchronousTestCase):
    """The options, without a process."""

    def setUp(self) -> None:
        """Begin with a network of its own."""
        self.reactor = MemoryReactor()

    def parse(self, *arguments: str) -> Options:
        """Return parsed options."""
        options = Options(Runtime(self.reactor, hostname="relay.example"))
        options.parseOptions(arguments)
        return options

    def wrong(self, *arguments: str) -> str:
        """Return what is said of a wrong command line."""
        with self.assertRaises(UsageError) as caught:
            self.parse(*arguments)
        return str(caught.exception)

    def test_service(self) -> None:
        """The options become a service that C{twistd} can start."""
        service = makeService(self.parse("--relay", "blackhole:"))
        self.assertTrue(IService.providedBy(service))
        service.startService()
        stopped = service.stopService()
        assert stopped is not None
        self.assertIsNone(self.reactor.wait(stopped))

    def test_compose(self) -> None:
        """Two such services with different policies live under one parent, and end with it."""
        hop, parent = FakeSmarthost(), MultiService()
        self.reactor.add_host("hop.example", hop)
        for number, name in ((25, "one"), (26, "two")):
            runtime = Runtime(self.reactor)
            relay = runtime.relay("smtp:hop.example")
            policies = PolicyRelay(relay, [AddHeader("X-Way", name)], runtime=runtime)
            options = Options(replace(runtime, defined={"ours": SharedRelay(policies, "ours")}))
            options.parseOptions(["--relay", "ours", "--smtp", f"tcp:{number}:interface=127.0.0.1"])
            makeService(options).setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        for number in (25, 26):
            endpoint = clientFromString(self.reactor, f"tcp:127.0.0.1:{number}")
            visitor: Any = self.reactor.wait(endpoint.connect(Factory.forProtocol(Visitor)))
            visitor.transport.write(mail("b@example.net"))
            self.reactor.flush()
            self.assertEqual(visitor.replies()[-1], "250 2.0.0 taken")
        self.reactor.wait(parent.stopService())
        ways = [message.octets.split(b"\r\n")[0] for message in hop.messages]
        self.assertEqual(ways, [b"X-Way: one", b"X-Way: two"])
        self.assertEqual(self.reactor.leftovers().connections, ())

    def test_repeatable(self) -> None:
        """Every option that may be given twice is taken twice."""
        options = self.parse(
            *("--relay", "blackhole:"),
            *("--smtp", "unix:/a", "--smtp", "unix:/b", "--lmtp", "unix:/c", "--lmtp", "unix:/d"),
            *("--http", "unix:/e", "--http", "unix:/f"),
            *("--route", "a.example=blackhole:", "--route", "b.example=blackhole:"),
            *("--define", "a=blackhole:", "--define", "b=fallback:a:mx"),
            *("--accept", "a.example", "--accept", "b.example"),
            *("--relay-from", "unix", "--relay-from", "192.0.2.0/24"),
            *("--limit", "message=1000", "--limit", "recipients=2"),
            *("--timeout", "stop=1", "--timeout", "final=2"),
        )
        options.service.startService()
        self.assertEqual(len(options.service.addresses), 6)
        for name in ("route", "define", "accept", "relay-from", "limit", "timeout"):
            self.assertEqual(len(options[name]), 2)

    def test_given_twice(self) -> None:
        """An option that can have one value only is not replaced silently by a second."""
        single = [name for name, *_ in Options.optParameters]
        self.assertEqual(len(single), 6)
        for name in single:
            said = self.wrong(f"--{name}", "first", f"--{name}", "second")
            self.assertEqual(said, f"--{name}: given twice, as 'first' and as 'second'")
        self.assertIn("--relay: given twice", self.wrong("-r", "blackhole:", "--relay", "mx:"))

    def test_default_relay(self) -> None:
        """Without a word on where mail goes, it goes to the exchangers of each domain."""
        self.assertEqual(self.parse()["relay"], "mx:")

    def test_wrong(self) -> None:
        """What cannot be is an error of usage that names the option."""
        self.assertIn("--relay: no relay 'x'", self.wrong("--relay", "x:"))
        self.assertIn("--limit: ", self.wrong("--relay", "blackhole:", "--limit", "x"))
        self.assertIn("'x' is no option; ", self.wrong("--relay", "pipe:command=a", "x", "y"))

    def test_auth(self) -> None:
        """Passwords come from files that are there, never from the command line."""
        passwords = Path(self.mktemp())
        passwords.write_text("me:secret\n")
        for description, wanted in {
            f"file:{passwords}": "--auth: passwords are taken under TLS only; add --certificate",
            "file:/nowhere": "--auth: /nowhere: No such file",
            "memory:me:secret": "--auth: secrets come from files; write file:PATH",
            "anonymous": "--auth: Auth plugin not supported",
            "nothing": "--auth: Auth plugin not recognized: nothing",
        }.items():
            text = self.wrong("--relay", "blackhole:", "--auth", description)
            self.assertTrue(text.startswith(wanted), text)

    def test_help(self) -> None:
        """Every option has its line of help."""
        listing = str(self.parse("--relay", "blackhole:"))
        for option in Options().longOpt:
            self.assertRegex(listing, rf"--{option} +\S")

    def test_help_settings(self) -> None:
        """Every limit and wait is named in the help, with its default."""
        listing = " ".join(str(self.parse("--relay", "blackhole:")).split())
        for kind in (Limits(), Timeouts()):
            for each in fields(kind):
                default = getattr(kind, each.name)
                self.assertRegex(listing, rf" {each.name}={default:.10g}[. ]")


class ProcessTests(SynchronousTestCase):
    """The command as a process of its own."""

    def daemon(
        self, *arguments: str, twistd: tuple[str, ...] = (), packages: Path | None = None
    ) -> Daemon:
        """Start it; it ends with the test."""
        daemon = Daemon(self.mktemp(), *arguments, twistd=twistd, packages=packages)
        self.addCleanup(daemon.__exit__)
        return daemon

    def hop(self) -> socket.socket:
        """Return where a next hop listens."""
        hop = listening()
        self.addCleanup(hop.close)
        return hop

    def deliver(self, daemon: Daemon, hop: socket.socket, recipient: str, reply: str) -> str:
        """Send a message through it; return the last reply to the client."""
        with Wire.to(daemon.address()) as client:
            client.give(recipient)
            with Wire.of(hop) as server:
                server.take(reply)
                return client.hear()

    def test_delivery(self) -> None:
        """Mail goes through, and the client is told what the next hop said (L11); SIGTERM ends the
        process with status 0 or by that signal.
        """
        hop = self.hop()
        daemon = self.daemon("--smtp", FREE, "--relay", relay_to(hop))
        self.assertEqual(
            self.deliver(daemon, hop, "b@example.net", "250 2.0.0 stored"), "250 2.0.0 stored"
        )
        daemon.terminate()
        self.assertIn(daemon.status(), (0, -15))

    def test_events(self) -> None:
        """Twisted's usual log has one readable line for each recipient, whatever is in the values
        (INJ-11, INJ-14).
        """
        hop = self.hop()
        daemon = self.daemon("--smtp", FREE, "--relay", relay_to(hop))
        evil = '"{0.__class__}%s%n{log_format}"@example.net'
        reply = "550 5.1.1 no \x1b[2J{sender.__class__} %s \x00\u2028 here"
        told = self.deliver(daemon, hop, evil, reply)
        self.assertTrue(told.startswith("550 5.1.1 no ?[2J{sender.__class__} %s ?"), told)
        line = daemon.line("to=<")
        self.assertIn(f"from=<a@example.org> to=<{evil}> ", line)
        self.assertIn("verdict=failed ", line)
        self.assertIn("reply=550 5.1.1 no ?[2J{sender.__class__} %s ??", line)
        self.assertTrue(line.isprintable(), line)
        self.assertEqual(len([each for each in daemon.lines if "to=<" in each]), 1)

    def test_terminate(self) -> None:
        """SIGTERM in the middle of a transaction: it ends with its true reply, idle clients are
        sent away, new ones are not let in (OS-01).
        """
        hop = self.hop()
        daemon = self.daemon("--smtp", FREE, "--relay", relay_to(hop))
        address = daemon.address()
        with Wire.to(address) as idle, Wire.to(address) as busy:
            idle.until("220")
            busy.give("b@example.net")
            with Wire.of(hop) as server:
                server.take()
                daemon.terminate()
                self.assertEqual(idle.hear(), "421 4.3.2 service is stopping")
                self.assertEqual(idle.hear(), "")
                daemon.line(f"(TCP Port {address[1]} Closed)")
                self.assertRaises(ConnectionRefusedError, socket.create_connection, address)
                server.say("451 4.3.1 disk full")
                self.assertTrue(busy.hear().startswith("451 4.3.1 disk full"))
                self.assertEqual(busy.hear(), "421 4.3.2 service is stopping")
        self.assertIn(daemon.status(), (0, -15))
        daemon.line("verdict=deferred", "ambiguous=False")

    def test_bad_options(self) -> None:
        """A wrong option ends the process with status 1 and a text, before anything listens
        (OS-12).
        """
        cases = {
            ("--resolver", "dns.example"): "--resolver: 'dns.example' is no name server",
            ("--relay", "smtp:"): "--relay: smtp: the host is missing",
            ("--relay", "smtp:x:credentials=/nowhere"): "credentials: /nowhere: No such file",
            ("--relay", "blackhole:", "--certificate", "/"): "--certificate: /: Is a directory",
            ("--relay", "blackhole:", "--smtp", "tcp:25", "--relay-from", "::/0"): "--relay-from",
            ("--nonsense",): "option --nonsense not recognized",
        }
        daemons = {self.daemon(*arguments): text for arguments, text in cases.items()}
        for daemon, text in daemons.items():
            self.assertEqual(daemon.status(), 1)
            self.assertIn(text, daemon.lines[-1])
            self.assertNotIn("taking mail", "".join(daemon.lines))
            self.assertNotIn("Traceback", "".join(daemon.lines))

    def test_port_taken(self) -> None:
        """A port that is taken ends the process with a text that names it (OS-12)."""
        hop = self.hop()
        endpoint = f"tcp:{hop.getsockname()[1]}:interface=127.0.0.1"
        daemon = self.daemon("--smtp", endpoint, "--relay", "blackhole:")
        self.assertEqual(daemon.status(), 1)
        self.assertIn(f"cannot listen on '{endpoint}': Address already in use", daemon.lines[-1])

    def test_version(self) -> None:
        """It tells its own version, not Twisted's."""
        daemon = self.daemon("--version")
        self.assertEqual(daemon.status(), 0)
        self.assertEqual(daemon.lines, [f"slimtwist {slimtwist.__version__}"])

    def test_help_relays(self) -> None:
        """It lists the relays of all packages with their arguments, and names those plugins that
        cannot be used; the others work.
        """
        folder = write(
            Path(self.mktemp()), tests_good=GOOD, tests_missing=BROKEN["tests_missing"][0]
        )
        daemon = self.daemon("--help-relays", packages=folder)
        self.assertEqual(daemon.status(), 0)
        text = "\n".join(daemon.lines)
        self.assertIn("\n  tests-good:\n", text)
        self.assertIn(
            "\n  smtp:\n      Build a relay to a smart host.\n      Arguments: host,", text
        )
        told = "\n  twisted.plugins.tests_missing\n      ModuleNotFoundError: No module named"
        self.assertIn(told, text)

    def test_root(self) -> None:
        """Who stays root is warned (OS-17)."""
        require_root("twistd relay")
        daemon = self.daemon("--smtp", FREE, "--relay", "blackhole:")
        daemon.address()
        daemon.line("running as root: start twistd with --uid and --gid")

    def test_privileges(self) -> None:
        """It binds port 25 as root and goes on as somebody else, who delivers mail all the same."""
        require_root("twistd relay")
        hop = self.hop()
        daemon = self.daemon(
            *("--smtp", "tcp:25:interface=127.77.25.1", "--relay", relay_to(hop)),
            twistd=("--uid", "65534", "--gid", "65534"),
        )
        self.assertEqual(daemon.address(), ("127.77.25.1", 25))
        self.assertEqual(
            self.deliver(daemon, hop, "b@example.net", "250 2.0.0 stored"), "250 2.0.0 stored"
        )
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        for kind in ("Uid", "Gid"):
            found = re.search(rf"^{kind}:\s+(.*)$", status, re.MULTILINE)
            assert found is not None
            self.assertEqual(found[1].split(), ["65534"] * 4)
        self.assertNotIn("running as root", "".join(daemon.lines))
