# -*- test-case-name: tests.compare.test_peers -*-
"""Who is compared: each client, where it comes from, and how it is configured.

Those from PyPI live in virtual environments of their own, below C{.tox/compare}, with exactly the
versions that are named here.  python-slimta asks C{pkg_resources} for its own version, which newer
setuptools do not have.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_FOLDER: Final = ROOT / ".tox" / "compare"


@dataclass(frozen=True, slots=True)
class Peer:
    """A client.

    @ivar name: what it is called in the table.
    @ivar module: the program in C{clients} that uses it.
    @ivar configured: what was chosen for it, in words.
    @ivar requirements: what its environment has; empty for our own.
    """

    name: str
    module: str
    configured: str
    requirements: Sequence[str] = ()

    def python(self) -> str:
        """Return the Python that has it; the first time, make its environment."""
        if not self.requirements:
            return sys.executable
        folder = _FOLDER / self.module
        python, stamp = folder / "bin" / "python", folder / "requirements.txt"
        wanted = "".join(f"{each}\n" for each in self.requirements)
        if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
            venv.create(folder, clear=True, with_pip=True)
            install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*install, *self.requirements], check=True)
            stamp.write_text(wanted, encoding="ascii")
        return str(python)


PEERS: Final = (
    Peer("slimtwist", "by_slimtwist", "``StaticSmtpRelay`` with the waits"),
    Peer(
        "python-slimta",
        "by_slimta",
        "``StaticSmtpRelay`` with its three timeouts, and ``idle_timeout``, so that it uses a "
        "connection again",
        ("python-slimta==5.0.5", "gevent==26.9.0", "setuptools==80.9.0"),
    ),
    Peer(
        "twisted.mail",
        "by_twisted",
        "``ESMTPSenderFactory`` with ``timeout``, and without ``retries``: one attempt is compared",
        ("twisted==26.10.0",),
    ),
    Peer(
        "aiosmtplib",
        "by_aiosmtplib",
        "``send`` with ``timeout``",
        ("aiosmtplib==5.1.3",),
    ),
    Peer("smtplib", "by_smtplib", "``SMTP`` with ``timeout``, and ``sendmail``"),
    Peer(
        "Postfix",
        "by_postfix",
        "``smtp(8)`` with its nine timeouts, and ``smtp_connection_cache_destinations``",
    ),
)
