# -*- test-case-name: tests.pages.test_operating -*-
"""The page on operating: signals, log, units and commands do what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import FAULTS
from slimtwist.runtime import Runtime
from slimtwist.tap import Options
from slimtwist.testing import MemoryReactor
from tests.daemon import Wire, environment
from tests.pages.rst import ROOT, page, rows, sections, words

_WAIT = 30.0
_TWISTD = str(Path(sys.executable).with_name("twistd"))


def blocks(kind: str) -> list[str]:
    """Return what the page shows of a language."""
    found = re.findall(rf"(?ms)^\.\. code-block:: {kind}\n\n(.*?)(?=^\S|\Z)", page("operating"))
    return [textwrap.dedent(each).strip() + "\n" for each in found]


class TableTests(SynchronousTestCase):
    """Tables against the code."""

    def test_replies(self) -> None:
        """Each reply of our own is there, and no other."""
        table = rows(sections("operating")["The relay's own replies"])
        said = {words(reply)[0] for reply, _ in table}
        self.assertEqual(said, {str(reply) for reply in FAULTS.values()})

    def test_lines(self) -> None:
        """Each line of the log is written somewhere, at its level."""
        sources = "".join(path.read_text() for path in (ROOT / "slimtwist").rglob("*.py"))
        table = rows(sections("operating")["Other lines of the log"])
        self.assertGreater(len(table), 7)
        for lines, level, _ in table:
            for line in words(lines):
                self.assertIn(line, sources)
            self.assertIn(f"og.{level}(", sources)


class CommandTests(SynchronousTestCase):
    """What can be copied from the page."""

    def test_units(self) -> None:
        """The command of the unit is right, and finds the socket of the other."""
        service, listens = blocks("ini")
        (command,) = re.findall(r"(?m)^ExecStart=(.*)$", service)
        _, _, arguments = command.partition(" relay ")
        Options(Runtime(MemoryReactor())).parseOptions(shlex.split(arguments))
        (stop,) = re.findall(r"(?m)^TimeoutStopSec=(\d+)$", service)
        self.assertGreater(int(stop), Runtime(MemoryReactor()).timeouts.stop + 10)
        self.assertIn("ListenStream=127.0.0.1:2525\n", listens)

    def test_greps(self) -> None:
        """They count what they should."""
        folder = Path(self.mktemp())
        folder.mkdir()
        lines = ["peer=mx.a [192.0.2.1]:25 tls=None verdict=deferred x=1"] * 2
        lines += ["peer=None tls=None verdict=deferred", "peer=mx.b verdict=delivered", "other"]
        (folder / "twistd.log").write_text("\n".join(lines))
        printed = [
            [line.split() for line in self.shell(folder, each).splitlines()]
            for each in blocks("sh")
        ]
        self.assertEqual(
            printed,
            [
                [["3", "verdict=deferred"], ["1", "verdict=delivered"]],
                [["2", "peer=mx.a"], ["1", "peer=None"]],
            ],
        )

    def shell(self, folder: Path, command: str) -> str:
        """Return what a shell prints."""
        run = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=_WAIT,
            check=True,
        )
        return run.stdout


class ProcessTests(SynchronousTestCase):
    """The daemon as the page has it."""

    def setUp(self) -> None:
        """Begin in an empty folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    @contextmanager
    def running(
        self, *twistd: str, smtp: str = "tcp:0:interface=127.0.0.1", before: str = ""
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run the daemon with what stands in front of the word C{relay}.

        @param before: what a shell does before it becomes the daemon.
        """
        relay = ["relay", "--smtp", smtp, "--relay", "blackhole:"]
        command = shlex.join([_TWISTD, "-n", "--pidfile=", *twistd, *relay])
        known = environment()
        known["PYTHONPATH"] = f"{self.folder}:{known['PYTHONPATH']}"
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"{before}\nexec env --default-signal=HUP {command}"],
                cwd=self.folder,
                env=known,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                close_fds=False,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + _WAIT
        while not holds():
            self.assertLess(time.monotonic(), end, self.text("output"))
            time.sleep(0.02)

    def text(self, name: str) -> str:
        """Return what is in a file of the folder."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def test_hangup(self) -> None:
        """SIGHUP ends it at once, and SIGUSR1 where there is no log file."""
        for number in (signal.SIGHUP, signal.SIGUSR1):
            with self.running() as process:
                self.until(lambda: "mail goes to" in self.text("output"))
                process.send_signal(number)
                self.assertEqual(process.wait(_WAIT), -number)

    def test_new_log(self) -> None:
        """SIGUSR1 begins a new log file where there is one."""
        with self.running("--logfile", "relay.log") as process:
            self.until(lambda: "mail goes to" in self.text("relay.log"))
            process.send_signal(signal.SIGUSR1)
            self.until((self.folder / "relay.log.1").exists)
            process.terminate()
            process.wait(_WAIT)
        self.assertIn("mail goes to", self.text("relay.log.1"))
        self.assertIn("Received SIGTERM", self.text("relay.log"))

    def test_json(self) -> None:
        """The example writes each event as JSON, with its fields."""
        shutil.copy(ROOT / "docs" / "examples" / "json_log.py", self.folder)
        with self.running("--logger", "json_log.observer"):
            self.until(lambda: "mail goes to" in self.text("output"))
            found = re.search(r'"address": "127\.0\.0\.1:(\d+)"', self.text("output"))
            assert found is not None
            with Wire.to(("127.0.0.1", int(found[1]))) as client:
                client.give("b@example.net")
                self.assertTrue(client.hear().startswith("250 "))
            self.until(lambda: "verdict" in self.text("output"))
        events: list[Mapping[str, object]] = [
            json.loads(line) for line in self.text("output").splitlines()
        ]
        (event,) = (each for each in events if "verdict" in each)
        self.assertEqual(
            (event["recipient"], event["verdict"], event["client"]),
            ("b@example.net", "delivered", "127.0.0.1"),
        )

    def test_socket(self) -> None:
        """It takes over a socket of systemd's, and who came before is served."""
        (endpoint,) = re.findall(r"``--smtp (systemd:\S+)``", page("operating"))
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        listening.set_inheritable(True)
        before = f"exec 3<&{listening.fileno()}\nexport LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x"
        with Wire.to(listening.getsockname()) as early, self.running(smtp=endpoint, before=before):
            early.until("220 ")
