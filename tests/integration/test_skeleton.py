# -*- test-case-name: tests.integration.test_skeleton -*-
"""The package of a plugin author: built, installed beside slimtwist, tested, and used by twistd.

It is C{docs/examples/skeleton_relay}, and what is done with it here is what its README says. The
environment is new, and pip fetches into it what the two packages say that they need.
"""

from __future__ import annotations

import json
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.daemon import Daemon
from tests.test_package import ROOT, build

_SOURCE = ROOT / "docs" / "examples" / "skeleton_relay"
_WAIT = 30.0


def run(*command: str | Path) -> str:
    """Run a command in a folder of no meaning; return what it printed.

    @raise AssertionError: it failed.
    """
    folder = Path("elsewhere").absolute()
    folder.mkdir(exist_ok=True)
    ended = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    if ended.returncode:
        raise AssertionError(ended.stdout)
    return ended.stdout


@cache
def installed() -> Path:
    """Return the folder of programs of an environment that has both packages."""
    source = Path("skeleton-source").absolute()
    # A build leaves things in the folder that it builds from.
    shutil.copytree(_SOURCE, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    wheels, environment = Path("skeleton-wheel").absolute(), Path("skeleton-venv").absolute()
    run(sys.executable, "-m", "venv", environment)
    pip = [str(environment / "bin" / "pip"), "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, source)
    (wheel,) = wheels.glob("*.whl")
    run(*pip, "install", build("wheel"), wheel)
    return environment / "bin"


def archive(listening: socket) -> dict[str, Any]:
    """Be the server of one message: take it, and refuse it to C{nobody}; return what was sent."""
    connection, _ = listening.accept()
    connection.settimeout(_WAIT)
    with connection, connection.makefile("rwb") as dialogue:
        told: dict[str, Any] = json.loads(dialogue.readline())
        told["octets"] = dialogue.read(told["octets"])
        for each in told["recipients"]:
            refused = each.startswith("nobody@")
            dialogue.write(b"550 5.1.1 unknown\r\n" if refused else b"250 2.0.0 stored\r\n")
    return told


class SkeletonTests(SynchronousTestCase):
    """What a plugin author does."""

    def test_tests(self) -> None:
        """The tests of the package pass where it is installed."""
        said = run(installed() / "python", "-m", "twisted.trial", "slimtwist_skeleton")
        self.assertRegex(said, r"(?s)Ran 2\d tests .*\n\nPASSED \(successes=2\d\)\n")

    def test_wrong(self) -> None:
        """A wrong argument is told before anything listens, in the words of the package."""
        error = self.assertRaises(
            AssertionError,
            run, installed() / "twistd", "-n", "relay", "--relay", "skeleton:socket",
        )  # fmt: skip
        self.assertIn("--relay: skeleton: path 'socket' does not begin with /", str(error))

    def test_delivered(self) -> None:
        """C{twistd relay} delivers with it, octet for octet, and its replies reach the client."""
        folder = Path(tempfile.mkdtemp())  # the path of a socket must be short
        self.addCleanup(shutil.rmtree, folder)
        programs = installed()
        arguments = ["--smtp", "tcp:0:interface=127.0.0.1", "--relay", f"skeleton:{folder}/socket"]
        with (
            socket(AF_UNIX) as listening,
            Daemon(self.mktemp(), *arguments, programs=programs) as daemon,
            ThreadPoolExecutor() as threads,
        ):
            listening.settimeout(_WAIT)
            listening.bind(f"{folder}/socket")
            listening.listen()
            told = threads.submit(archive, listening)
            with smtplib.SMTP(*daemon.address(), timeout=_WAIT) as client:
                client.sendmail("me@example.org", ["b@example.net"], "Subject: x\r\n\r\n.one\r\n")
            first = told.result(_WAIT)
            told = threads.submit(archive, listening)
            with smtplib.SMTP(*daemon.address(), timeout=_WAIT) as client:
                error = self.assertRaises(
                    smtplib.SMTPDataError,
                    client.sendmail, "me@example.org", ["nobody@example.net"], "\r\n",
                )  # fmt: skip
            daemon.terminate()
            self.assertIn(daemon.status(), (0, -signal.SIGTERM))
        octets = first.pop("octets")
        self.assertEqual({"sender": "me@example.org", "recipients": ["b@example.net"]}, first)
        self.assertTrue(octets.endswith(b"\r\nSubject: x\r\n\r\n.one\r\n"), octets)
        self.assertEqual(550, error.smtp_code)
        self.assertEqual(f"5.1.1 unknown ({folder}/socket)", error.smtp_error.decode())
