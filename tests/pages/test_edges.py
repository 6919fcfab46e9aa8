# -*- test-case-name: tests.pages.test_edges -*-
"""The pages of ways in and ways out: what they say of replies and statuses is what the code has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge import replies
from slimtwist.edge.extensions import Offer
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.setting import Setting
from slimtwist.queue.direct import DirectQueue
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor
from tests.daemon import Daemon
from tests.pages.rst import ROOT, page, rows, sections, words

#: A page that shows how something is done.
HOW_TO = (
    *("smarthost", "mx", "lmtp", "pipe", "delivery-agent"),
    *("edges", "edge-esmtp", "edge-lmtp", "edge-http", "http", "operating"),
)


class ReplyTests(SynchronousTestCase):
    """What clients of ESMTP get."""

    def test_replies(self) -> None:
        """Each reply of the table is one of the edge's."""
        known = [each for each in vars(replies).values() if isinstance(each, bytes)]
        ours = {str(Reply.received(each.rstrip())) for each in known} | {str(replies.RELAY_DENIED)}
        table = rows(sections("edge-esmtp")["What clients are told"])
        self.assertGreater(len(table), 10)
        for said, _ in table:
            (reply,) = words(said)
            self.assertTrue(any(each.startswith(f"{reply} ") for each in ours), reply)

    def test_loss_of_patience(self) -> None:
        """Each way in which a connection is ended by 421 is there."""
        known = [each for each in vars(replies).values() if isinstance(each, bytes)]
        ended = {each[:9].decode() for each in known if each.startswith(b"421 ")} - {"421 4.3.0"}
        table = rows(sections("edge-esmtp")["What clients are told"])
        self.assertEqual(ended - {words(said)[0] for said, _ in table}, set())

    def test_extensions(self) -> None:
        """Each extension is there, and no other."""
        offers = [Offer(1, one_recipient=one, dsn=not one) for one in (True, False)]
        offered = {
            line.split()[0]
            for offer in offers
            for line in offer.keywords(starttls=True, mechanisms=["PLAIN"])
        }
        table = rows(sections("edge-esmtp")["What it speaks"])
        self.assertEqual({words(keyword)[0] for keyword, _ in table}, offered)

    def test_direct(self) -> None:
        """In front of C{direct:} neither edge offers notifications, as the pages say."""
        runtime = Runtime(MemoryReactor())
        queue = DirectQueue(runtime, BlackholeRelay())
        for lmtp in (True, False):
            self.assertFalse(Setting.of(runtime, queue, EdgeOptions(lmtp=lmtp)).offer.dsn)
        self.assertIn("``direct:`` does not", sections("edge-esmtp")["What it speaks"])
        self.assertNotIn("DSN", page("edge-lmtp"))


class StatusTests(SynchronousTestCase):
    """What clients of HTTP get."""

    def test_statuses(self) -> None:
        """Each status that the edge gives is in the table, and no other."""
        folder = ROOT / "slimtwist" / "edge" / "http"
        sources = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
        told = {status for status, _ in rows(sections("edge-http")["Statuses"])}
        raised = set(re.findall(r"refusal\(\s*(\d{3})", sources))
        self.assertGreater(len(raised), 5)
        self.assertEqual(raised - told, set())
        for status in told:
            self.assertRegex(sources, rf"(?m)^(?!Sources).*\b{status}\b")


class CurlTests(SynchronousTestCase):
    """The message that the page posts."""

    def test_posted(self) -> None:
        """It is taken, for the recipient that the page names."""
        (command,) = re.findall(r"(?m)^    (curl (?:.*\\\n)*.*)$", page("edge-http"))
        folder = Path(self.mktemp()).absolute()
        listen = "tcp:0:interface=127.0.0.1"
        with Daemon(str(folder), "--http", listen, "--relay", "blackhole:") as daemon:
            (folder / "message.eml").write_bytes(b"Subject: hello\r\n\r\nhello\r\n")
            host, port = daemon.address()
            posted = subprocess.run(
                [
                    "bash",
                    "-c",
                    command.replace("127.0.0.1:8025", f"{host}:{port}") + " -w '%{http_code}'",
                ],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertEqual(posted.stdout, "204", posted.stderr)
            line = daemon.line("verdict=delivered")
        self.assertIn("from=<me@example.org> to=<you@example.net>", line)


class HowToTests(SynchronousTestCase):
    """Pages that show how something is done."""

    def test_example_first(self) -> None:
        """Each begins with a command that works, before its first section."""
        for name in HOW_TO:
            title, *_ = sections(name)
            head = page(name).partition(f"\n{title}\n")[0]
            self.assertRegex(head, r"\n    twistd .*relay --", name)
