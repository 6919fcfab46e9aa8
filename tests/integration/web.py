# -*- test-case-name: tests.integration.test_http -*-
"""Servers that speak HTTP: our own daemon, nginx in front of it, and python-slimta's edge.

python-slimta lives in a virtual environment of its own, C{.tox/slimta}, which C{.ci/test} makes.
Its version 5.0.5 asks C{pkg_resources} for its own version, which today's packages do not have: it
finds a module of that name beside the scripts here.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.daemon import environment
from tests.integration.daemons import below_trace
from tests.integration.programs import ProgramMissingError, program
from tests.integration.servers import ServerProcess, free_port, listening

ROOT = Path(__file__).resolve().parents[2]

_STUB = """
class Distribution:
    version = "5.0.5"


def require(name):
    return [Distribution]
"""

_EDGE = """
import base64, json, sys
from gevent.pywsgi import WSGIServer
from slimta.edge.wsgi import WsgiEdge
from slimta.queue.proxy import ProxyQueue
from slimta.relay import Relay, PermanentRelayError, TransientRelayError
from slimta.smtp.reply import Reply

port, folder = int(sys.argv[1]), sys.argv[2]


class Keep(Relay):
    count = 0

    def attempt(self, envelope, attempts):
        for recipient in envelope.recipients:
            if recipient.startswith("never@"):
                raise PermanentRelayError("no", Reply("550", '5.1.1 no "such" user'))
            if recipient.startswith("later@"):
                raise TransientRelayError("no", Reply("450", "4.2.1 not now"))
        header, body = envelope.flatten()
        taken = {
            "sender": envelope.sender,
            "recipients": envelope.recipients,
            "helo": envelope.client["name"],
            "octets": base64.b64encode(header + body).decode(),
        }
        self.count += 1
        with open("%s/%06d.taken" % (folder, self.count), "w") as file:
            json.dump(taken, file)


WSGIServer(("127.0.0.1", port), WsgiEdge(ProxyQueue(Keep()))).serve_forever()
"""

_SEND = """
import base64, json, sys
from slimta.envelope import Envelope
from slimta.relay import RelayError
from slimta.relay.http import HttpRelay

order = json.load(sys.stdin)
# It reads no body of a response, so it cannot use a connection twice.
relay = HttpRelay(order["url"], ehlo_as="slimta.test", timeout=20)
for octets in order["messages"]:
    envelope = Envelope(order["sender"], order["recipients"])
    envelope.parse(base64.b64decode(octets))
    try:
        result = relay.attempt(envelope, 0)
        print("delivered", getattr(result, "code", None), getattr(result, "message", None))
    except RelayError as error:
        print(type(error).__name__, error.reply.code, error.reply.message)
"""

_NGINX = """
daemon off;
user root;
error_log stderr info;
pid {folder}/pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 60m;
    large_client_header_buffers 8 32k;
    upstream relay {{
        server 127.0.0.1:{upstream};
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://relay;
            proxy_http_version {version};
            proxy_set_header Connection "";
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""

_TRACE = re.compile(
    rb"Received: from relay\.test \(\[127\.0\.0\.1\]\)\r\n"
    rb"\tby web\.test with HTTPS? [^\r\n]+\r\n(?:\t[^\r\n]+\r\n)?"
)


def below_traces(octets: bytes) -> bytes:
    """Return what is below the trace fields of a relay that takes HTTP, and of one before it.

    @raise ValueError: the message does not begin with these two.
    """
    found = _TRACE.match(octets)
    if found is None:
        raise ValueError(f"no trace field of the relay that takes HTTP: {octets[:400]!r}")
    return below_trace(octets[found.end() :])[1]


class WebDaemon:
    """A running ``twistd relay`` that takes mail by HTTP.

    @ivar port: where, on 127.0.0.1.

    @param arguments: those of C{relay}, but for where it listens.
    @param pem: a file with key and certificate, for HTTPS.
    """

    def __init__(self, *arguments: str, pem: Path | None = None) -> None:
        self.port = free_port()
        self.name = f"web-{self.port}"
        self._process = ServerProcess(self.name)
        where = f"{self.port}:interface=127.0.0.1"
        tls = f"ssl:{where}:privateKey={pem}:certKey={pem}"
        self._arguments = ["--http", f"tcp:{where}" if pem is None else tls, *arguments]

    @property
    def url(self) -> str:
        """Where it takes messages."""
        return f"http://127.0.0.1:{self.port}/messages/"

    def start(self) -> None:
        """Start it and wait until it takes mail."""
        program = str(Path(sys.executable).with_name("twistd"))
        command = [program, "-n", "--pidfile=", "relay", "--hostname", "web.test"]
        command += self._arguments
        self._process.start(
            command, lambda: listening("127.0.0.1", self.port), environment=environment()
        )

    def stop(self) -> None:
        """End it at once."""
        self._process.stop()

    def log(self) -> str:
        """Return what it logged."""
        return self._process.log()


class Nginx:
    """A reverse proxy.

    @ivar port: where it listens on 127.0.0.1.

    @param upstream: the port behind it.
    @param version: of HTTP, in which it talks to that.
    @param buffering: whether it takes a whole request before it passes it on.
    """

    def __init__(self, upstream: int, *, version: str = "1.1", buffering: bool = False) -> None:
        self.port = free_port()
        self.name = f"nginx-{self.port}"
        self._process = ServerProcess(self.name)
        self._configuration = self._process.directory / "nginx.conf"
        self._configuration.write_text(
            _NGINX.format(
                folder=self._process.directory,
                port=self.port,
                upstream=upstream,
                version=version,
                buffering="on" if buffering else "off",
            )
        )

    @property
    def url(self) -> str:
        """Where it takes messages."""
        return f"http://127.0.0.1:{self.port}/messages/"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [program("nginx"), "-c", str(self._configuration)]
        command += ["-p", str(self._process.directory), "-e", "stderr"]
        self._process.start(command, lambda: listening("127.0.0.1", self.port))

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def log(self) -> str:
        """Return what it logged."""
        return self._process.log()


@dataclass(frozen=True)
class Taken:
    """A message that python-slimta took."""

    sender: str
    recipients: Sequence[str]
    helo: str
    octets: bytes


class SlimtaEdge:
    """python-slimta's HTTP edge.

    @ivar port: where it listens on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.name = f"slimta-{self.port}"
        self._process = ServerProcess(self.name)

    def start(self) -> None:
        """Start it and wait until it listens."""
        folder = self._process.directory
        command = [slimta(), str(scripts(folder) / "edge.py"), str(self.port), str(folder)]
        self._process.start(command, lambda: listening("127.0.0.1", self.port))

    def taken(self) -> list[Taken]:
        """Return what it took, in order."""
        found = [json.loads(p.read_text()) for p in sorted(self._process.directory.glob("*.taken"))]
        return [
            Taken(each["sender"], each["recipients"], each["helo"], b64decode(each["octets"]))
            for each in found
        ]

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def log(self) -> str:
        """Return what it printed."""
        return self._process.log()


def slimta() -> str:
    """Return the Python that has python-slimta.

    @raise ProgramMissingError: there is none; the text says how to make it.
    """
    python = ROOT / ".tox" / "slimta" / "bin" / "python"
    if not python.exists():
        raise ProgramMissingError(f"no {python}: bash .ci/test makes it")
    return str(python)


def scripts(folder: Path) -> Path:
    """Write what python-slimta is to run; return where."""
    (folder / "pkg_resources.py").write_text(_STUB)
    (folder / "edge.py").write_text(_EDGE)
    (folder / "send.py").write_text(_SEND)
    return folder
