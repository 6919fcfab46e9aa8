# -*- test-case-name: tests.smtp.test_secret -*-
"""Reading files that hold secrets: passwords, keys.

A file that everybody on the host may read is taken, with a warning in the log.  Containers hand
their secrets over in such files (Docker's are 0444, Kubernetes' 0644 by default), and a refusal
would only make people copy them about.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from twisted.logger import Logger

_log: Final = Logger()


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return what a file holds.

    @raise ValueError: there is no such file, or it cannot be read; the text names it.
    """
    if not os.fspath(path):
        raise ValueError("the path of the file is missing")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{os.fspath(path)}: {error.strerror or error}") from error


def read_secret(path: str | os.PathLike[str]) -> bytes:
    """Return what a file holds, and warn when everybody on this host may read it.

    @raise ValueError: there is no such file, or it cannot be read; the text names it.
    """
    content = read_file(path)
    if Path(path).stat().st_mode & stat.S_IROTH:
        _log.warn("everybody may read {path}, which holds a secret", path=os.fspath(path))
    return content
