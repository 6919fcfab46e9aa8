# -*- test-case-name: tests.test_documentation -*-
"""The pages say what the program does: every option, argument, limit, wait and field, no other.

And what they show runs: the command lines are parsed, the examples executed.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from runpy import run_path
from typing import Any

import trustme
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import twisted.plugins
from slimtwist.envelope import Envelope
from slimtwist.errors import FAULTS
from slimtwist.events import log_attempt
from slimtwist.interfaces import IRelayPlugin
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Outcome, Report
from slimtwist.plugin import RelayMaker
from slimtwist.relay.arguments import ARGUMENTS, TIMEOUTS
from slimtwist.relay.http import STATUSES, Names, Secrets
from slimtwist.relay.http import plugin as http
from slimtwist.relay.http.request import fields as fields_of
from slimtwist.relay.http.result import CONFIGURATION, Meaning, Response
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.smtpreply import SmtpReply
from slimtwist.tap import Options
from slimtwist.testing import FakeSmarthost, MemoryReactor
from tests.daemon import Wire, environment, listening
from tests.events import Events
from tests.relaying import RelayTestCase

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"
_ROW = re.compile(r"^   \* - ``(\w+)``\n     - (.*)$", re.MULTILINE)
_STATUS = re.compile(r"^   \* - (\d+)\n     - (.*)$", re.MULTILINE)
_COMMAND = re.compile(r"^ *(twistd (?:.*\\\n)*.*)$", re.MULTILINE)

# What twistd does with arguments, but that nothing listens.
_PARSE = """
import sys
from twisted.python.usage import UsageError
from slimtwist.tap import Options
try:
    Options().parseOptions(sys.argv[1:])
    from example.folder_relay import FolderRelay
    print("a relay:", FolderRelay.__name__)
except UsageError as error:
    print(error)
"""


def page(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / "docs" / f"{name}.rst").read_text()


def section(name: str, title: str) -> str:
    """Return the text of a section of a page, up to the next title."""
    _, text = re.split(rf"\n{re.escape(title)}\n-+\n", page(name))
    return re.split(r"\n.*\n-----+\n", text)[0]


def commands() -> Iterator[str]:
    """Yield the command lines of the README and the pages, each in one line.

    Those of the tutorial are run, in L{tests.pages.test_tutorial}; one of them is wrong.
    """
    pages = {*ROOT.glob("docs/*.rst")} - {ROOT / "docs" / "tutorial.rst"}
    for path in [ROOT / "README.md", *sorted(pages)]:
        for found in _COMMAND.findall(path.read_text()):
            if not found.endswith("..."):
                yield found.replace("\\\n", "")


class TableTests(SynchronousTestCase):
    """Tables against the code."""

    def test_options(self) -> None:
        """Every option of C{twistd relay} is described, and nothing else is."""
        described = re.findall(r"^``--.*$", section("operating", "Options"), re.MULTILINE)
        names = re.findall(r"``--([-a-z]+)", " ".join(described))
        self.assertEqual(sorted(names), sorted(each.rstrip("=") for each in Options().longOpt))

    def test_settings(self) -> None:
        """Every wait and limit is there, with its default, in its order."""
        for title, kind in (("Waits", Timeouts), ("Limits", Limits)):
            rows = _ROW.findall(section("operating", title))
            values = [(each.name, f"{getattr(kind(), each.name):g}") for each in fields(kind)]
            self.assertEqual([(name, f"{float(text):g}") for name, text in rows], values)

    def test_events(self) -> None:
        """Every field of an event is there, in its order."""
        events = Events()
        envelope = Envelope.parse("a@b", ["c@d"], b"")
        report = Report((Outcome.of(Reply.parse("250 ok")),))
        log_attempt(Logger(observer=events), envelope, report, relay="x", delay=0)
        logged = [name for name in events[0] if not name.startswith("log_")]
        self.assertEqual(
            [name for name, _ in _ROW.findall(section("operating", "The log"))], logged
        )

    def test_arguments(self) -> None:
        """Every argument of C{smtp:} is described, and nothing else is."""
        text = section("smarthost", "All arguments")
        rows = [name for name, _ in _ROW.findall(text)]
        waits = re.findall(r"``(\w+)``", text[text.index("and the waits") :])
        self.assertEqual([rows[:2], waits], [["port", "unix"], [*TIMEOUTS]])
        self.assertEqual({*rows[2:], *waits}, {*ARGUMENTS})

    def test_descriptions(self) -> None:
        """Every relay of ours that C{twistd} finds is described."""
        text = section("operating", "Descriptions")
        for plugin in getPlugins(IRelayPlugin):
            if isinstance(plugin, RelayMaker):
                self.assertRegex(text, rf"(?m)^``{re.escape(plugin.prefix)}:")

    def test_faults(self) -> None:
        """The replies of our own are those that the program gives."""
        text = section("smarthost", "What becomes of a message")
        told = re.findall(r"^451 (4\.\S+)", text, re.MULTILINE)
        self.assertGreater(len(told), 5)
        self.assertLessEqual({*told}, {reply.enhanced for reply in FAULTS.values()})


class HttpTests(SynchronousTestCase):
    """The page about HTTP."""

    def rows(self, title: str) -> list[tuple[str, str]]:
        """Return the table of a section."""
        return _ROW.findall(section("http", title))

    def test_arguments(self) -> None:
        """Every argument of C{http:} is described, in its order."""
        self.assertEqual(
            [name for name, _ in self.rows("The relay's arguments")], [*http.ARGUMENTS]
        )

    def test_meanings(self) -> None:
        """The table of statuses is the relay's own, and so are the faults of configuration."""
        rows = _STATUS.findall(section("http", "What a response means to the relay"))
        table = {int(status): reply.strip() for status, reply in rows}
        codes = {status: text.rpartition(" HTTP")[0] for status, text in STATUSES.items()}
        self.assertEqual(table, {each: " ".join(t.split()[:2]) for each, t in codes.items()})
        faults = re.search(r"to defer it: ([0-9,\s]+)", page("http"))
        assert faults is not None
        self.assertEqual([*map(int, re.findall(r"\d+", faults[1]))], [*CONFIGURATION])

    def test_fields(self) -> None:
        """Every field of a request is described."""
        envelope = Envelope.parse("a@b", ["c@d"], b"")
        key, clock = Secrets(key=b"0123456789abcdef"), Clock()
        made = fields_of(envelope, "me.example", Names(), key, clock)
        headers = self.successResultOf(Deferred.fromCoroutine(made))
        told = set(re.findall(r"``([-A-Za-z]+)``", section("http", "The request")))
        sent = {name.decode().lower() for name, _ in headers.getAllRawHeaders()}
        self.assertEqual({each.lower() for each in told}, sent - {"content-type"})

    def test_response(self) -> None:
        """What the page shows of a response is what the relay understands."""
        text = section("http", "The response")
        field = re.search(r"X-Smtp-Reply: (.*)", text)
        assert field is not None
        said = SmtpReply.parse(field[1])
        self.assertEqual(str(said and said.reply), "550 5.1.1 No such user")
        body = text[text.index("{") :].encode()
        response = Response(503, "", {"content-type": ["application/json"]}, body)
        found = Meaning("h", STATUSES).outcomes(response, 2, 0.0)
        self.assertEqual([each.reply.code for each in found], [250, 550])

    def test_signature(self) -> None:
        """The example verifies what the relay signs, and nothing else, and not for ever."""
        verify = run_path(str(ROOT / "docs" / "examples" / "verify_signature.py"))["verify"]
        key, clock = b"0123456789abcdef", Clock()
        clock.advance(1_700_000_000)
        envelope = Envelope.parse("a@b", ["c@d", "e@f"], b"Subject: x\r\n\r\nx\r\n")
        made = fields_of(envelope, "me.example", Names(), Secrets(key=key), clock)
        headers = self.successResultOf(Deferred.fromCoroutine(made))
        given: dict[str, Any] = {
            "signed_at": "1700000000",
            "signature": headers.getRawHeaders("X-Signature", [""])[0],
            "sender": "YUBi",
            "recipients": ["Y0Bk", "ZUBm"],
            "body": bytes(envelope.content),
            "now": 1_700_000_100.0,
        }
        self.assertEqual(headers.getRawHeaders("X-Signature-Time"), ["1700000000"])
        self.assertTrue(verify(key, **given))
        for wrong in (
            {"signed_at": "1700000001"},
            {"sender": "Y0Bk"},
            {"recipients": ["Y0Bk"]},
            {"recipients": ["Y0Bk"], "body": b"ZUBm\n" + bytes(envelope.content)},
            {"body": b""},
            {"now": 1_700_000_400.0},
        ):
            self.assertFalse(verify(key, **{**given, **wrong}))
        self.assertFalse(verify(b"another key 0123", **given))


class CommandTests(SynchronousTestCase):
    """Command lines."""

    def setUp(self) -> None:
        """Make the files that they name, elsewhere."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "login").write_text("me:secret\n")
        (self.folder / "users").write_text("you:secret\n")
        (self.folder / "token").write_text("0123456789abcdef\n")
        (self.folder / "tokens").write_text("me:0123456789abcdef\n")
        authority = trustme.CA()
        own = authority.issue_cert("mail.example.com").private_key_and_cert_chain_pem
        own.write_to_path(str(self.folder / "mail.pem"))
        authority.cert_pem.write_to_path(str(self.folder / "authority.pem"))
        source = EXAMPLES / "skeleton_relay" / "src"  # as if it were installed
        plugins = str(source / "twisted" / "plugins")
        self.patch(sys, "path", [*sys.path, str(source)])
        self.patch(twisted.plugins, "__path__", [*twisted.plugins.__path__, plugins])

    def test_parsed(self) -> None:
        """Each is right as it stands; only its files are elsewhere."""
        count = 0
        for command in commands():
            _, relay, rest = command.partition(" relay --")
            self.assertTrue(relay, command)
            arguments = shlex.split(f"--{rest}".replace("/etc/relay", str(self.folder)))
            Options(Runtime(MemoryReactor())).parseOptions(arguments)
            count += 1
        self.assertGreater(count, 4)

    def test_descriptions(self) -> None:
        """Descriptions that stand alone are right as well."""
        alone = re.findall(r"^    (smtp:\S+)$", page("smarthost"), re.MULTILINE)
        self.assertGreater(len(alone), 0)
        for description in alone:
            there = description.replace("/etc/relay", str(self.folder))
            relay = Runtime(MemoryReactor()).relay(there)
            self.assertIsInstance(relay, StaticSmtpRelay)


class ExampleTests(RelayTestCase):
    """The examples run."""

    def example(self, name: str) -> dict[str, Any]:
        """Return what an example defines."""
        return run_path(str(EXAMPLES / f"{name}.py"))

    def test_two_relays(self) -> None:
        """One takes mail from this host, the other takes its domain's from anybody."""
        mailbox = FakeSmarthost()
        self.reactor = MemoryReactor()
        self.reactor.add_host("smarthost.example.com", self.hop, 587)
        self.reactor.add_host("mailbox.example.com", mailbox, 10025)
        parent = self.example("two_relays")["make_service"](Runtime(self.reactor))
        parent.privilegedStartService()
        parent.startService()
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 taken")
        self.assertEqual(self.send("me@example.com", "tcp:127.0.0.1:25"), "250 2.0.0 taken")
        self.reactor.wait(parent.stopService())
        self.assertEqual([len(self.hop.messages), len(mailbox.messages)], [1, 1])

    def test_send(self) -> None:
        """It returns a line for each recipient, also when there is one outcome for all."""
        greet = self.example("send")["greet"]
        self.hop.answers.rules = {"RCPT": {"c@example.net": "550 5.1.1 unknown"}}
        for host, wanted in {
            "smarthost.example": ["250 2.0.0 taken", "550 5.1.1 unknown"],
            "nowhere.example": ["451 4.4.1 cannot connect"] * 2,
        }.items():
            relay = StaticSmtpRelay(host, runtime=self.runtime)
            recipients = ["b@example.net", "c@example.net"]
            greeting = greet(relay, recipients, self.runtime)
            replies = self.reactor.wait(Deferred.fromCoroutine(greeting))
            self.assertEqual([str(each)[:24].strip() for each in replies], [e[:24] for e in wanted])


class OutsideTests(SynchronousTestCase):
    """What a reader would write into files of his own works there."""

    def setUp(self) -> None:
        """Make a folder of his."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def python(self, path: Path, *arguments: str) -> str:
        """Run Python in that folder, with a further folder to import from; return what it says."""
        known = environment()
        known["PYTHONPATH"] = f"{path}:{known['PYTHONPATH']}"
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=known,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return result.stdout + result.stderr

    def test_readme(self) -> None:
        """What the README sends arrives, and the outcome is printed."""
        (code,) = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "README.md").read_text())
        with listening() as hop, ThreadPoolExecutor() as threads:
            here = f'"127.0.0.1", {hop.getsockname()[1]}'
            code = code.replace('"smarthost.example.com"', here)
            said = threads.submit(self.python, EXAMPLES, "-c", code)
            with Wire.of(hop) as server:
                server.take("250 2.0.0 stored")
                server.until("QUIT")
        self.assertEqual(said.result(), "delivered 250 2.0.0 stored\n")

    def test_tests(self) -> None:
        """The tests among the examples pass, and a page shows each of them."""
        pages = "".join(path.read_text() for path in ROOT.glob("docs/*.rst"))
        names = sorted(path.stem for path in EXAMPLES.glob("test_*.py"))
        self.assertEqual(sorted(re.findall(r"examples/(test_\w+)\.py", pages)), names)
        said = self.python(EXAMPLES, "-m", "twisted.trial", *names)
        self.assertRegex(said, r"(?s)Ran (\d\d) tests .*\n\nPASSED \(successes=\1\)\n")

    def test_plugin(self) -> None:
        """A package with the example and the file of the page has a relay for C{twistd}."""
        code = re.findall(r"(?m)^    (.*)$", section("writing-a-relay", "Making it known"))
        at = next(index for index, line in enumerate(code) if line.startswith("# twisted/plugins/"))
        end = next(index for index, line in enumerate(code) if "RelayMaker(" in line)
        plugin = self.folder / code[at].removeprefix("# ")
        plugin.parent.mkdir(parents=True)
        plugin.write_text("\n".join(code[at : end + 1]))
        (self.folder / "example").mkdir()
        shutil.copy(EXAMPLES / "folder_relay.py", self.folder / "example")
        (description,) = (line for line in code if line.startswith("--relay "))
        for folder, wanted in (
            (str(self.folder), "a relay: FolderRelay"),
            ("nowhere", "--relay: folder: path 'nowhere' is no folder; make it first"),
        ):
            arguments = shlex.split(description.replace("/var/spool/kept", folder))
            said = self.python(self.folder, "-c", _PARSE, *arguments)
            self.assertIn(wanted, said)
