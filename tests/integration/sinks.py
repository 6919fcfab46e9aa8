# -*- test-case-name: tests.integration.test_sinks -*-
"""Postfix's smtp-sink: a server that takes messages, refuses, delays and hangs up as it is told.

It speaks no TLS, and it offers AUTH but checks nothing.

By default it writes down every transaction that came to its end of data, before it replies, and
L{SmtpSink.messages} reads them back octet for octet. What it alters, as C{test_sinks} measures it:
it drops every CR, and takes every LF for a
line end, so that a bare CR or LF cannot be told from none and from CRLF.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.programs import program
from tests.integration.servers import ServerProcess, accepting, free_port, listening
from tests.integration.switches import Switches

_BACKLOG = "128"


@dataclass(frozen=True, slots=True)
class Taken:
    """One transaction that smtp-sink wrote down.

    @ivar protocol: C{SMTP}, C{ESMTP} or C{LMTP}.
    @ivar helo: what the client called itself.
    @ivar mail: all that followed C{MAIL FROM:}, angle brackets and parameters as they came.
    @ivar recipients: likewise for each RCPT, also those that were refused.
    @ivar octets: the message with CRLF line ends.
    """

    protocol: str
    helo: str
    mail: str
    recipients: tuple[str, ...]
    octets: bytes


def parse(dump: bytes) -> Taken:
    """Return the transaction in a file that smtp-sink wrote.

    @raise ValueError: it is not such a file, or the message is not complete.
    """
    records, received, rest = dump.partition(b"\nReceived: ")
    lines = rest.split(b"\n", 3)
    if not received or len(lines) < 4 or not (b"\n" + lines[3]).endswith(b"\n\n"):
        raise ValueError(f"not a whole dump of smtp-sink: {dump[:200]!r}")
    facts: dict[str, list[str]] = {}
    for line in records.decode("utf-8", "surrogateescape").split("\n"):
        name, _, value = line.partition(": ")
        facts.setdefault(name, []).append(value)
    return Taken(
        facts["X-Client-Proto"][0],
        facts.get("X-Helo-Args", [""])[0],
        facts["X-Mail-Args"][0],
        tuple(facts.get("X-Rcpt-Args", ())),
        lines[3].removesuffix(b"\n").replace(b"\n", b"\r\n"),
    )


def _taken(path: Path) -> Taken | None:
    """Return the transaction in a file, unless it is under way or was given up meanwhile."""
    with suppress(FileNotFoundError, ValueError):
        return parse(path.read_bytes())
    return None


class SmtpSink:
    """An smtp-sink on a TCP port, or on a UNIX socket.

    @ivar name: what it is, and its port.
    @ivar address: the IPv4 address that it listens on.
    @ivar port: its TCP port; not used with a UNIX socket.
    @ivar socket: the path of the UNIX socket, if it listens there.

    @param switches: what it does.
    @param address: any of 127.0.0.0/8.
    @param port: by default one that is free.
    @param unix: listen on a UNIX socket instead.
    """

    def __init__(
        self,
        switches: Switches | None = None,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        unix: bool = False,
    ) -> None:
        self._switches = switches or Switches()
        self.address = address
        self.port = port or free_port(address)
        self.name = f"smtp-sink-{self.port}"
        self._process = ServerProcess(self.name)
        self._process.directory.chmod(0o777)
        self.socket = self._process.directory / "socket" if unix else None

    def start(self) -> None:
        """Start it and wait until it listens.

        @raise tests.integration.servers.ServerFailedError: it did not start.
        @raise tests.integration.programs.ProgramMissingError: Postfix is not installed.
        """
        user = ["-u", "nobody"] if os.geteuid() == 0 and not self._switches.user else []
        where = f"unix:{self.socket}" if self.socket else f"inet:{self.address}:{self.port}"
        command = [program("smtp-sink"), *user, *self._switches.arguments(), where, _BACKLOG]
        self._process.start(command, self._listens)
        if self.socket:
            self.socket.chmod(0o666)

    def _listens(self) -> bool:
        if self.socket:
            return accepting(self.socket)
        return listening(self.address, self.port)

    def running(self) -> bool:
        """Tell whether it runs; after C{most_messages} and C{most_quits} it ends by itself."""
        return self._process.running()

    def stop(self) -> None:
        """End it and remove what it wrote."""
        self._process.stop()

    def log(self) -> str:
        """Return what it printed: warnings, counters, and with C{verbose} the dialogue."""
        return self._process.log()

    def messages(self) -> list[Taken]:
        """Return what it took, in no certain order.

        A message is there when its client has the final reply. One that is not complete, because
        it is still under way, is left out.
        """
        return [taken for taken in map(_taken, self.files()) if taken is not None]

    def files(self) -> list[Path]:
        """Return the files that it wrote below C{dump/}."""
        dumps = (self._process.directory / "dump").rglob("*")
        return [path for path in dumps if path.is_file()]
