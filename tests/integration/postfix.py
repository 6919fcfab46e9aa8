# -*- test-case-name: tests.integration.test_postfix -*-
"""A Postfix of our own: smart host, next hop that refuses, or client of ours.

It lives in a temporary directory with a queue, a configuration and a log of its own, and shares
nothing with Debian's but the programs. Which it is to be is told by a
L{tests.integration.setups.Setup}.

Messages that it keeps go to one Maildir by its virtual(8), one file for each recipient, whatever
the recipient's domain. What Postfix 3.7 alters by itself, as C{test_postfix_octets} measures it:

- before the message it puts Return-Path, X-Original-To, Delivered-To and Received, which
  L{tests.integration.maildir} takes off; lines end with LF in its files;
- a CR, or several, directly before a CRLF is dropped; a bare LF becomes a line end; other bare CRs
  stay;
- a header line loses white space between its name and the colon, and all from a NUL on;
- an empty line is set before a message, and between header and body, if there is none; before a
  first line that begins with white space, too;
- a first line that begins with C{From } or C{>From } becomes C{X-Mailbox-Line: From ...};
- a recipient named twice gets one copy.

All else arrives as it was sent: 8-bit octets and NULs in the body, lines of any length (those over
C{line_length_limit} are cut in its queue and made whole again), white space at line ends, header
lines of any size, MIME whether right or wrong, Bcc, Return-Path and Delivered-To. A last line
without line end does not exist in SMTP. Recipients and senders keep their case and extension.

As a client it puts one Received before the message and sends the rest as it is, also 8-bit octets
to a next hop without 8BITMIME, and lines longer than SMTP allows.

C{postfix start-fg} would put a shell between us and its master(8), and look for damage in
a queue that has just been made. We make the queue as C{postfix-files} has it and start master.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred

from tests.integration import maildir, postlog
from tests.integration.clients import Finished, run
from tests.integration.configuration import HOSTNAME, main_cf, master_cf, tables
from tests.integration.maildir import Delivered
from tests.integration.postlog import Result
from tests.integration.programs import program, require_root
from tests.integration.sasl import write_accounts
from tests.integration.servers import ServerProcess, free_port, listening
from tests.integration.setups import Setup
from tests.integration.waiting import until

_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming")
_PRIVATE = (*_QUEUES, "private", "saved", "trace")
_Item = TypeVar("_Item")

#: The directories that others than root own, or may enter.
_OWNERS = {
    "queue": ("root", "root", 0o755),
    "queue/pid": ("root", "root", 0o755),
    "queue/public": ("postfix", "postdrop", 0o2710),
    "queue/maildrop": ("postfix", "postdrop", 0o1730),
    **{f"queue/{name}": ("postfix", "root", 0o700) for name in _PRIVATE},
    "data": ("postfix", "postfix", 0o755),
    "mail": ("nobody", "root", 0o755),
}


class Postfix:
    """A private Postfix.

    @ivar name: what it is, and its port.
    @ivar address: the IPv4 address that it listens on.
    @ivar port: its SMTP port.
    @ivar tls_port: the port where TLS comes first, if there is one.
    @ivar configuration: its configuration directory, for C{postconf -c} and the like.

    @param setup: what it is to do.
    @param address: any of 127.0.0.0/8.
    @param port: by default one that is free.
    """

    def __init__(
        self, setup: Setup | None = None, *, address: str = "127.0.0.1", port: int | None = None
    ) -> None:
        self._setup = setup or Setup()
        self.address = address
        self.port = port or free_port(address)
        self.tls_port = free_port(address) if self._setup.implicit_tls else None
        self.name = f"postfix-{self.port}"
        self._process = ServerProcess(self.name)
        self.configuration = self._process.directory / "conf"

    def start(self) -> None:
        """Write the configuration, start master(8) and wait until it listens.

        @raise tests.integration.servers.ServerFailedError: it did not; the text is its log.
        @raise tests.integration.programs.ProgramMissingError: Postfix is not installed.
        @raise tests.integration.programs.RootNeededError: we are not root.
        """
        require_root("Postfix")
        self._write()
        folder = _output("postconf", "-c", str(self.configuration), "-h", "daemon_directory")
        command = [f"{folder.strip()}/master", "-c", str(self.configuration), "-s"]
        self._process.start(command, self._listens)

    def _listens(self) -> bool:
        ports = [port for port in (self.port, self.tls_port) if port is not None]
        return all(listening(self.address, port) for port in ports)

    def _write(self) -> None:
        top, setup = self._process.directory, self._setup
        for name in ("conf", "tables"):
            (top / name).mkdir()
        for name, (user, group, mode) in _OWNERS.items():
            _make(top / name, user, group, mode)
        _write_text(self.configuration / "main.cf", main_cf(setup, top))
        _write_text(
            self.configuration / "master.cf", master_cf(self.address, self.port, self.tls_port)
        )
        for name, text in tables(setup).items():
            _write_text(top / "tables" / name, text)
        if setup.certificate:
            setup.certificate.save(top / "certificate.pem")
        if setup.client_authority:
            setup.client_authority.save(top / "clients.pem")
        if setup.accounts:
            write_accounts(self.configuration, HOSTNAME, setup.accounts, setup.mechanisms)

    def stop(self) -> None:
        """End all its processes, and remove its directory with every message."""
        self._process.stop()

    def log(self) -> str:
        """Return its log."""
        return self._process.log()

    def results(self) -> list[Result]:
        """Return what it did with each recipient so far."""
        return postlog.results(self.log())

    def finished(
        self, count: int, *, status: str | None = None, within: float = 60.0
    ) -> Deferred[list[Result]]:
        """Wait until it has logged at least so many results; fire with all of them.

        @param status: look only for results with this status.
        """

        def look() -> list[Result]:
            results = [each for each in self.results() if status in (None, each.status)]
            return _if_enough(results, count)

        return until(look, f"{count} results", within=within)

    def _files(self) -> list[Path]:
        return maildir.files(self._process.directory / "mail" / "inbox")

    def messages(self) -> list[Delivered]:
        """Return what it kept, in the order of delivery: one for each recipient."""
        return [maildir.parse(path.read_bytes()) for path in self._files()]

    def arrived(self, count: int, *, within: float = 60.0) -> Deferred[list[Delivered]]:
        """Wait until it kept at least so many messages; fire with all of them."""
        come = until(lambda: _if_enough(self._files(), count), f"{count} messages", within=within)
        return come.addCallback(lambda _: self.messages())

    def submit(self, sender: str, recipients: Sequence[str], octets: bytes) -> Deferred[Finished]:
        """Give it a message by sendmail(1), which may add From, Date and Message-ID.

        To submit exact octets, speak SMTP to C{port}.

        @param octets: with CRLF line ends.
        """
        options = ["-C", str(self.configuration), "-i", "-f", sender, "--"]
        return run("sendmail", *options, *recipients, stdin=octets.replace(b"\r\n", b"\n"))

    def flush(self) -> Deferred[Finished]:
        """Make it try all deferred messages again now."""
        return run("postqueue", "-c", str(self.configuration), "-f")


def _if_enough(items: list[_Item], count: int) -> list[_Item]:
    return items if len(items) >= count else []


def _output(name: str, *arguments: str) -> str:
    command = [program(name), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _make(path: Path, user: str, group: str, mode: int) -> None:
    path.mkdir(parents=True)
    shutil.chown(path, user, group)
    path.chmod(mode)


def _write_text(path: Path, text: str) -> None:
    """Write a file that looks a minute old.

    Postfix waits for two seconds before it believes that a file which is new is complete.
    """
    path.write_text(text, encoding="utf-8")
    past = time.time() - 60.0
    os.utime(path, (past, past))
