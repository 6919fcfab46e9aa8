# -*- test-case-name: tests.pages.test_tutorial -*-
"""The tutorial is done, block by block, by a shell: each prints what the page says that it prints.

Only ports, the folder of the login and the smart host's name are others here. The installation is
the README's, and tested with it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import trustme
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.testing import FakeSmarthost
from tests.daemon import environment
from tests.integration.servers import free_port
from tests.pages.rst import ROOT, page

reactor = cast("Any", _reactor)
_WAIT = 30.0
_BLOCK = re.compile(r"(?ms)^\.\. code-block:: (sh|none)\n\n(.*?)(?=^\S|\Z)")


@dataclass(frozen=True, slots=True)
class Step:
    """What the reader types, and what he then reads.

    @ivar typed: a command.
    @ivar read: what it prints.
    @ivar logged: what the relay prints meanwhile, in a terminal of its own.
    """

    typed: str
    read: str
    logged: str

    @property
    def fails(self) -> bool:
        """Whether it is a mistake."""
        return "unknown argument" in self.read

    @property
    def stays(self) -> bool:
        """Whether it goes on until he presses Ctrl-C."""
        return self.typed.startswith("twistd") and not self.fails


def steps() -> Iterator[Step]:
    """Yield the steps of the tutorial."""
    blocks = [
        (kind, textwrap.dedent(text).strip()) for kind, text in _BLOCK.findall(page("tutorial"))
    ]
    begins = [index for index, (kind, _) in enumerate(blocks) if kind == "sh"]
    for begin, end in pairwise([*begins, len(blocks)]):
        yield Step(*([text for _, text in blocks[begin:end]] + ["", ""])[:3])


def expected(read: str) -> list[str]:
    """Return a pattern for each line that is to be read; three dots are anything."""
    return [re.escape(line).replace(r"\.\.\.", ".*") for line in read.splitlines()]


class Terminal:
    """A shell's command that is running."""

    def __init__(self, folder: Path, typed: str) -> None:
        """Start it."""
        self._output = folder / f"output-{time.monotonic_ns()}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", typed],
                cwd=folder,
                env={**environment(), "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        """Return what it has printed."""
        return self._output.read_text().splitlines()

    def until(self, patterns: list[str]) -> None:
        """Wait until it has printed such lines."""
        end = time.monotonic() + _WAIT
        while not all(any(re.fullmatch(p, line) for line in self.lines()) for p in patterns):
            if time.monotonic() > end:
                raise AssertionError("\n".join([f"not all of {patterns} in:", *self.lines()]))
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait for the end."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(_WAIT)


class TutorialTests(TestCase):
    """The whole of it, with a smart host that wants TLS and a login."""

    timeout = 120

    def setUp(self) -> None:
        """Begin with a smart host, and an empty folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        authority = trustme.CA()
        issued = authority.issue_cert("smtp.example.com")
        authority.cert_pem.write_to_path(str(self.folder / "authority.pem"))
        certificate = Certificate.loadPEM(issued.cert_chain_pems[0].bytes())
        key = KeyPair.load(issued.private_key_pem.bytes(), 1)
        self.hop = FakeSmarthost(
            extensions=("STARTTLS", "AUTH PLAIN"),
            users={"username": "password"},
            context=PrivateCertificate.fromCertificateAndKeyPair(certificate, key).options(),
        )
        port = reactor.listenTCP(0, self.hop, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        trust = f"trust={self.folder / 'authority.pem'}:reference=smtp.example.com"
        self.others = {
            "2525": str(free_port()),
            "2526": str(free_port()),
            "/etc/relay": str(self.folder / "etc"),
            "smtp:smtp.example.com:port=587": f"smtp:127.0.0.1:port={port.getHost().port}:{trust}",
        }
        self.running: list[Terminal] = []
        self.done: list[str] = []

    def test_all(self) -> Deferred[None]:
        """Every block does what the page says, and the smart host has the last message."""
        return deferToThread(self._follow).addCallback(lambda _: self._check())

    def _check(self) -> None:
        self.hop.verify()
        self.assertEqual([each.recipients for each in self.hop.messages], [("you@example.net",)])
        self.assertIn(b"Subject: hello\r\n", self.hop.messages[0].octets)
        self.assertGreater(len(self.done), 8)

    def _follow(self) -> None:
        try:
            for step in steps():
                here = Step(*map(self._here, (step.typed, step.read, step.logged)))
                self._do(here)
                if here.logged:
                    self.running[-1].until(expected(here.logged))
        finally:
            for each in self.running:
                each.interrupt()

    def _here(self, text: str) -> str:
        """Return a text with what is different here."""
        for there, here in self.others.items():
            text = text.replace(there, here)
        return text

    def _do(self, step: Step) -> None:
        if ".venv" in step.typed:
            return
        self.done.append(step.typed)
        if step.stays:
            self._stop_some(step)
            relay = Terminal(self.folder, step.typed)
            self.running.append(relay)
            relay.until([*expected(step.read), ".* mail goes to .*"])
            return
        if "SMTPDataError" in step.typed:
            self.running.pop(0).interrupt()
        command = Terminal(self.folder, step.typed)
        status = command.process.wait(_WAIT)
        self.assertEqual(status, 1 if step.fails else 0, command.lines())
        command.until(expected(step.read))

    def _stop_some(self, step: Step) -> None:
        """Press Ctrl-C where the page says so: the last relay comes in place of the one before."""
        if "credentials" in step.typed:
            self.running.pop().interrupt()


class PageTests(SynchronousTestCase):
    """What is not run."""

    def test_installation(self) -> None:
        """It is installed as the README has it."""
        first, second, *_ = steps()
        self.assertIn(first.typed, (ROOT / "README.md").read_text())
        self.assertEqual(second.typed, ". .venv/bin/activate")
