# -*- test-case-name: tests.integration.test_pipe -*-
"""Delivery by maildrop and by dovecot-lda, the real ones: what arrives, and what each status means.

Measured with maildrop 2.9.3 and Dovecot 2.3.19: maildrop takes a CR at the end of a line for no
part of it, and ends with 75 for nearly all troubles, 67 for a user that is none, and what a filter
says. dovecot-lda with C{-e} ends with 77 for a mailbox that is full; without it, it would send a
notification by itself and say 0.
"""

from __future__ import annotations

import os
import signal
import smtplib
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from slimtwist.relay.child import Child
from slimtwist.relay.dress import Dress
from slimtwist.relay.pipe import DovecotLdaRelay, MaildropRelay
from slimtwist.runtime import Runtime
from tests.integration import maildir
from tests.integration.daemons import DaemonCase
from tests.integration.dialogue import in_thread
from tests.integration.dovecot import Dovecot, User
from tests.integration.programs import program, require_root
from tests.integration.servers import NOBODY
from tests.integration.smarthost import MESSAGE, SmarthostCase
from tests.integration.waiting import until

_MESSAGES = [
    b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n",
    b"no header\r\n",
    b"Subject: \xc3\xa4\xff\r\n\r\n" + b"x" * 900 + b"\r\n" + b"y\r\n" * 100_000,
]
#: Filters: where mail is delivered, and why it is not.
_FILTERS = {
    "deliver": 'to "{home}/Maildir"\n',
    "reject": 'echo "5.7.1 rejected by a filter"\nEXITCODE=77\nexit\n',
    "defer": 'echo "4.2.1 later"\nEXITCODE=75\nexit\n',
    "wordless": "EXITCODE=75\nexit\n",
}


class MaildropTests(SmarthostCase):
    """By maildrop, as the user that it delivers to."""

    def setUp(self) -> None:
        """Make a home for nobody, with filters."""
        super().setUp()
        require_root("maildrop")
        self.home = Path(self.mktemp()).resolve()
        for name in ("new", "cur", "tmp"):
            (self.home / "Maildir" / name).mkdir(parents=True)
        for name, text in _FILTERS.items():
            (self.home / name).write_text(text.format(home=self.home))
            (self.home / name).chmod(0o600)
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        for folder in self.home.parents[:4]:
            folder.chmod(0o755)

    def maildrop(self, *arguments: str, **options: Any) -> MaildropRelay:  # noqa: ANN401 - of the relay
        """Return a relay to maildrop as nobody."""
        child = Child({"HOME": str(self.home)}, directory=str(self.home), user="nobody")
        relay = MaildropRelay(
            program("maildrop"), 20, arguments, child=child, runtime=Runtime(reactor), **options
        )
        self.addCleanup(relay.stop)
        return relay

    async def test_filters(self) -> None:
        """A filter delivers, rejects with a text, defers with one, or without."""
        relay = self.maildrop("{localpart}")
        recipients = [f"{name}@b.test" for name in (*_FILTERS, "nosuch")]
        missing = "/usr/bin/maildrop: Unable to open filter file, errno=2."
        self.assertEqual(
            [
                "delivered at end of data: 250 2.0.0 delivered",
                "failed at end of data: 554 5.7.1 rejected by a filter",
                "deferred at end of data: 451 4.2.1 later",
                "deferred at end of data: 451 4.3.0 exit status 75",
                f"deferred at end of data: 451 4.3.0 {missing}",
            ],
            [each.strip() for each in await self.told(relay, *recipients)],
        )
        self.assertEqual(1, len(maildir.files(self.home / "Maildir")))

    async def test_octets(self) -> None:
        """What is in the Maildir is what was sent, with the line ends of a file (L8)."""
        relay = self.maildrop("deliver", dress=Dress("lf", return_path=True))
        for octets in _MESSAGES:
            for sender in ("s@a.test", ""):
                [told] = await self.told(relay, "r@b.test", octets=octets, sender=sender)
                self.assertEqual("delivered", told[:9])
        stored = [path.read_bytes() for path in maildir.files(self.home / "Maildir")]
        wanted = [
            f"Return-Path: <{sender}>\n".encode() + octets.replace(b"\r\n", b"\n")
            for octets in _MESSAGES
            for sender in ("s@a.test", "")
        ]
        self.assertEqual(wanted, stored)

    async def test_sender(self) -> None:
        """The sender reaches the filter, the null sender as an empty one."""
        path = self.home / "sender"
        path.write_text('echo "5.1.8 <$FROM>"\nEXITCODE=77\nexit\n')
        path.chmod(0o600)
        os.chown(path, NOBODY, NOBODY)
        relay = self.maildrop("sender")
        for sender in ("s@a.test", ""):
            [told] = await self.told(relay, "r@b.test", sender=sender)
            self.assertIn(f"554 5.1.8 <{sender or 'MAILER-DAEMON'}>", told)

    async def test_user(self) -> None:
        """As root it delivers to the user that it is told, and knows who is none."""
        child = Child(allow_root=True)
        arguments = ["-d", "{localpart}"]
        relay = MaildropRelay(None, 20, arguments, child=child, runtime=Runtime(reactor))
        self.addCleanup(relay.stop)
        found = await self.told(relay, "no-such-user@b.test", "nobody@b.test")
        self.assertIn("failed at end of data: 554 5.1.1 ", found[0])
        self.assertIn("deferred at end of data: 451 4.3.0 ", found[1])  # he has no home


class DovecotLdaTests(SmarthostCase):
    """Dovecot's own agent, for the users of a Dovecot."""

    async def test_outcomes(self) -> None:
        """Each user has his own outcome, and what is in the mailbox is what was sent (L8)."""
        dovecot = self.serve(Dovecot([User("good"), User("full", quota=1), User("broken")]))
        (dovecot.socket.parent / "mail" / "broken").touch()
        relay = self.lda(dovecot)
        recipients = [f"{name}@b.test" for name in ("good", "full", "broken", "unknown")]
        found = await self.told(relay, *recipients)
        starts = [
            "delivered at end of data: 250 2.0.0 ",
            "failed at end of data: 554 5.7.0 ",
            "deferred at end of data: 451 4.3.0 ",
            "failed at end of data: 554 5.1.1 ",
        ]
        for start, each in zip(starts, found, strict=True):
            self.assertEqual(start, each[: len(start)])
        self.assertIn("Quota exceeded", found[1])
        for octets in _MESSAGES:
            await self.told(relay, "good@b.test", octets=octets, sender="")
        stored = dovecot.messages("good")
        self.assertEqual([MESSAGE, *_MESSAGES], [each.octets for each in stored])
        self.assertEqual(["s@a.test", ""], [each.sender for each in stored[:2]])

    def lda(self, dovecot: Dovecot) -> DovecotLdaRelay:
        """Return a relay to the agent, which becomes the user by itself."""
        configuration = ["-c", str(dovecot.socket.parent / "dovecot.conf")]
        relay = DovecotLdaRelay(
            program("dovecot-lda"), 20, configuration,
            dress=Dress("lf", return_path=True), child=Child(allow_root=True),
            runtime=Runtime(reactor),
        )  # fmt: skip
        self.addCleanup(relay.stop)
        return relay


class DaemonTests(DaemonCase):
    """Programs of ``twistd relay``."""

    async def test_terminated(self) -> None:
        """A daemon that shall stop waits for its programs, then ends them, then ends (PIPE-21)."""
        pid_file = _folder(self.mktemp()) / "pid"
        script = r"""'echo $$ > pid; trap "" TERM; while \:; do sleep 1; done'"""
        relay = self.relay(
            f"pipe:command=sh -c {script}:directory={pid_file.parent}:allow_root=yes",
            "--timeout",
            "stop=1",
        )
        talking = in_thread(_try, relay.port)
        pid = await until(lambda: _number(pid_file), "the number of a running program")
        self.addCleanup(_kill, pid)
        relay.terminate()
        self.assertIn(await talking, (421, 451))
        self.assertTrue(relay.running())
        await until(lambda: not relay.running(), "the end of the relay", within=20)
        self.assertFalse(_exists(pid))
        [event] = relay.events()
        self.assertIn("verdict=deferred ambiguous=", event)


def _folder(name: str) -> Path:
    path = Path(name).resolve()
    path.mkdir()
    return path


def _number(path: Path) -> int:
    return int(path.read_text().strip() or 0) if path.exists() else 0


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _try(port: int) -> int:
    """Send a message; return the code of the last reply."""
    with smtplib.SMTP("127.0.0.1", port, "client.test") as smtp:
        try:
            smtp.sendmail("s@a.test", ["r@b.test"], MESSAGE)
        except smtplib.SMTPResponseException as error:
            return error.smtp_code
    return 250


def _kill(pid: int) -> None:
    if _exists(pid):
        os.kill(pid, signal.SIGKILL)
