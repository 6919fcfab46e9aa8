# -*- test-case-name: tests.integration.test_benchmarks -*-
"""The benchmarks run, and print what they say they print."""

from __future__ import annotations

import os
import sys

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase


class SmarthostTests(TestCase):
    """How C{tests.benchmarks.smarthost} compares senders."""

    timeout = 150

    def test_compares(self) -> Deferred[object]:
        """Each sender hands over all its messages, and has its line with figures and a ratio."""
        arguments = ["-m", "tests.benchmarks.smarthost", "--messages", "20", "--rounds", "1"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        running = getProcessOutputAndValue(sys.executable, arguments, env=environment)

        def check(result: tuple[bytes, bytes, int]) -> None:
            output, errors, status = result
            self.assertEqual(status, 0, errors)
            lines = output.decode().splitlines()
            self.assertEqual(
                [line.split()[0] for line in lines],
                ["slimtwist", "python-slimta", "smtplib", "smtp-source"],
            )
            for line in lines:
                self.assertRegex(line, r"^\S+ +[1-9]\d* microseconds a message, +\d+\.\d\d of ")
            for line in lines[:3]:
                self.assertRegex(line, r" +[1-9]\d*\.\d MiB$")

        checked: Deferred[object] = running.addCallback(check)
        return checked
