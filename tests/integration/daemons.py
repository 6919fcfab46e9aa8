# -*- test-case-name: tests.integration.test_relay -*-
"""``twistd relay``, started as an operator starts it, among real servers and clients.

What it adds to a message is one trace field; L{below_trace} checks its form to the letter and takes
it off, whatever the message begins with.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from tests.daemon import environment
from tests.integration.case import ServerCase
from tests.integration.certificates import Authority
from tests.integration.servers import ServerProcess, accepting, free_port, listening

#: What it calls itself.
HOSTNAME = "relay.test"

_TRACE = re.compile(
    rb"Received: from [-\w.]+(?: \(\[127\.0\.0\.\d+\]\))?\r\n"
    rb"\tby relay\.test with (?P<protocol>[A-Z0-9]+) id [0-9a-f]+\.[0-9a-f]{12}"
    rb"(?:\r\n\tfor <[^>\r\n]+>)?; "
    rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000\r\n"
)


def below_trace(octets: bytes) -> tuple[str, bytes]:
    """Return the protocol in a message's trace field, and the octets below it.

    @raise ValueError: the message does not begin with a trace field as the relay writes it.
    """
    found = _TRACE.match(octets)
    if found is None:
        raise ValueError(f"no trace field of the relay: {octets[:300]!r}")
    return found["protocol"].decode(), octets[found.end() :]


class RelayDaemon:
    """A running ``twistd relay``.

    @ivar name: what it is, and its port.
    @ivar port: where it takes ESMTP on 127.0.0.1.
    @ivar socket: the UNIX socket where it takes LMTP, if it does.

    @param arguments: those of C{relay}, but for where it listens and its name.
    @param lmtp: take LMTP, too.
    """

    def __init__(self, *arguments: str, lmtp: bool = False) -> None:
        self.port = free_port()
        self.name = f"relay-{self.port}"
        self._process = ServerProcess(self.name)
        self.socket = self._process.directory / "lmtp" if lmtp else None
        self._arguments = arguments

    def start(self) -> None:
        """Start it and wait until it takes mail.

        @raise tests.integration.servers.ServerFailedError: it did not start; the text is its log.
        """
        program = str(Path(sys.executable).with_name("twistd"))
        where = ["--smtp", f"tcp:{self.port}:interface=127.0.0.1", "--hostname", HOSTNAME]
        where += ["--lmtp", f"unix:{self.socket}"] if self.socket else []
        command = [program, "-n", "--pidfile=", "relay", *where, *self._arguments]
        self._process.start(command, self._listens, environment=environment())

    def _listens(self) -> bool:
        lmtp = self.socket is None or accepting(self.socket)
        return lmtp and listening("127.0.0.1", self.port)

    def running(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.running()

    def terminate(self) -> None:
        """Ask it to stop, as a supervisor does."""
        os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, and keep its log."""
        os.kill(self._process.pid, signal.SIGKILL)

    def memory(self) -> int:
        """Return the most memory that it ever had resident, in octets (proc(5), C{VmHWM})."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None, status
        return int(found[1]) * 1024

    def events(self) -> list[str]:
        """Return the lines of its log that tell of recipients."""
        return [line for line in self.log().splitlines() if " to=<" in line]

    def stop(self) -> None:
        """End it at once."""
        self._process.stop()

    def log(self) -> str:
        """Return what it logged."""
        return self._process.log()


class DaemonCase(ServerCase):
    """A test with relays."""

    def relay(self, description: str, *arguments: str, lmtp: bool = False) -> RelayDaemon:
        """Start a relay to a next hop."""
        return self.serve(RelayDaemon("--relay", description, *arguments, lmtp=lmtp))

    def credentials(self, text: str) -> Path:
        """Write a file of secrets, as an operator should; return its path."""
        path = Path(self.mktemp()).resolve()
        path.touch(0o600)
        path.write_text(f"{text}\n", encoding="utf-8")
        return path

    def anchors(self, authority: Authority) -> str:
        """Write a file of trust anchors; return its path."""
        return str(authority.save(Path(self.mktemp()).resolve()))

    def submission(self, authority: Authority, port: int, login: str, **more: Any) -> str:  # noqa: ANN401
        """Return the description of a smart host that wants TLS and a login."""
        arguments = {
            "port": port,
            "trust": self.anchors(authority),
            "credentials": self.credentials(login),
            **more,
        }
        given = (f"{name}={value}" for name, value in arguments.items())
        return ":".join(["smtp:127.0.0.1", *given])
