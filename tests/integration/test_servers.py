# -*- test-case-name: tests.integration.test_servers -*-
"""Server programs start, are found listening, and leave nothing behind."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import servers
from tests.integration.servers import (
    ServerFailedError,
    ServerProcess,
    accepting,
    free_port,
    listening,
)

# A server with a child; both ignore SIGTERM, and the child's process id goes to a file.
_STUBBORN = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open("child", "w").write(str(child))
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("begun", flush=True)
time.sleep(60)
"""


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class PortTests(SynchronousTestCase):
    """Ports, and who listens."""

    def test_free_port(self) -> None:
        """A port is given once, nobody listens on it, and it is below the ephemeral range."""
        ports = [free_port() for _ in range(50)]
        self.assertEqual(len(set(ports)), 50)
        self.assertFalse(any(listening("127.0.0.1", port) for port in ports))
        first = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
        self.assertLess(max(ports), int(first[0]))

    def test_taken(self) -> None:
        """A port on which somebody listens is passed over."""
        taken, free = free_port(), free_port()
        with socket.create_server(("127.0.0.1", taken)):
            self.patch(servers, "_ports", iter([taken, free]))
            self.assertEqual(free_port(), free)

    def test_none_left(self) -> None:
        """When all ports were given away, this is said."""
        self.patch(servers, "_ports", iter([]))
        self.assertRaises(ServerFailedError, free_port)

    def test_listening(self) -> None:
        """A listener is seen at its own address, and not any longer when it has closed."""
        port = free_port("127.0.0.2")
        with socket.create_server(("127.0.0.2", port)):
            self.assertTrue(listening("127.0.0.2", port))
            self.assertFalse(listening("127.0.0.1", port))
        self.assertFalse(listening("127.0.0.2", port))

    def test_not_a_connection(self) -> None:
        """A client's port is not taken for a listener."""
        port = free_port()
        with (
            socket.create_server(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            self.assertFalse(listening("127.0.0.1", client.getsockname()[1]))

    def test_accepting(self) -> None:
        """A UNIX socket accepts when somebody listens, and not when only its file is there."""
        folder = tempfile.mkdtemp()  # a short path: unix(7) allows 107 octets
        self.addCleanup(shutil.rmtree, folder)
        path = Path(folder) / "socket"
        with socket.socket(socket.AF_UNIX) as server:
            self.assertFalse(accepting(path))
            server.bind(str(path))
            self.assertFalse(accepting(path))
            server.listen()
            self.assertTrue(accepting(path))


class ProcessTests(SynchronousTestCase):
    """Starting and stopping."""

    def test_life(self) -> None:
        """A server is started in its directory, and nothing remains when it was stopped."""
        process, port = ServerProcess("stubborn"), free_port()
        command = [sys.executable, "-c", _STUBBORN, str(port)]
        process.start(command, lambda: listening("127.0.0.1", port))
        child = int((process.directory / "child").read_text(encoding="ascii"))
        self.assertTrue(process.running())
        self.assertTrue(_alive(child))
        process.stop()
        process.stop()
        self.assertFalse(process.running())
        self.assertFalse(_alive(child))
        self.assertFalse(listening("127.0.0.1", port))
        self.assertFalse(process.directory.exists())
        self.assertEqual(process.log(), "begun\n")

    def test_fails(self) -> None:
        """A server that ends at once is an error with what it printed, and is cleaned away."""
        process = ServerProcess("failing")
        command = [sys.executable, "-c", "import sys; sys.exit('no such option')"]
        error = self.assertRaises(ServerFailedError, process.start, command, lambda: False)
        self.assertIn("no such option", str(error))
        self.assertFalse(process.directory.exists())

    def test_silent(self) -> None:
        """A server that runs but does not listen is given up, and stopped."""
        self.patch(servers, "_START_WITHIN", 0.05)
        process = ServerProcess("silent")
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        self.assertRaises(ServerFailedError, process.start, command, lambda: False)
        self.assertFalse(process.running())

    def test_others_may_enter(self) -> None:
        """The directory can be entered by the users that a server becomes."""
        process = ServerProcess("idle")
        self.addCleanup(process.stop)
        self.assertEqual(process.directory.stat().st_mode & 0o777, 0o755)
