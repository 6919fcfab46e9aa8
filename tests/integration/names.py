# -*- test-case-name: tests.integration.test_mx -*-
"""Real name servers: NSD, which has the zones of a test, and unbound, which looks them up.

Both speak UDP and TCP on 127.0.0.1. unbound logs every question that it gets, and asks nobody but
our NSD; a zone has the records that the test gives, and negative answers count for two seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.programs import program
from tests.integration.servers import ServerProcess, free_port, listening

_ADDRESS = "127.0.0.1"

_NSD = """\
server:
  ip-address: {address}@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/pid"
  database: ""
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/zones"
  server-count: 1
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "zone"
"""

_SOA = """\
$ORIGIN {zone}.
$TTL 3600
@ 2 IN SOA ns hostmaster 1 3600 600 86400 2
@ IN NS ns
ns IN A 127.0.0.1
"""

_UNBOUND = """\
server:
  interface: {address}@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  logfile: ""
  log-queries: yes
  verbosity: 0
  num-threads: 1
  module-config: "iterator"
  do-ip6: no
  do-not-query-localhost: no
  cache-max-ttl: 1
  cache-min-ttl: 0
  cache-max-negative-ttl: 1
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: {address}@{upstream}
"""


class Nsd:
    """An authoritative name server with one zone.

    @ivar zone: the name of the zone, without a dot at its end.
    @ivar port: where it listens.

    @param records: name below the zone (C{"@"} for the zone itself) -> records, each as
        C{"MX 10 mx1"} or C{"60 A 127.0.0.2"}.
    """

    def __init__(self, records: Mapping[str, Sequence[str]], zone: str = "zone.example") -> None:
        self.zone = zone
        self.port = free_port()
        self.name = f"nsd-{self.port}"
        self._records = records
        self._process = ServerProcess(self.name)

    def start(self) -> None:
        """Write the zone, start it and wait until it listens."""
        folder = self._process.directory
        values = {"address": _ADDRESS, "port": self.port, "folder": folder, "zone": self.zone}
        lines = [
            f"{name} {_with_class(text)}\n"
            for name, texts in self._records.items()
            for text in texts
        ]
        (folder / "zone").write_text(_SOA.format(**values) + "".join(lines))
        path = _written(folder / "nsd.conf", _NSD.format(**values))
        self._process.start([program("nsd"), "-d", "-c", path], self._listens)

    def _listens(self) -> bool:
        return listening(_ADDRESS, self.port)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def log(self) -> str:
        """Return its log."""
        return self._process.log()


class Unbound:
    """A recursive name server that asks one authoritative one.

    @ivar port: where it listens.
    """

    def __init__(self, authority: Nsd) -> None:
        self.port = free_port()
        self.name = f"unbound-{self.port}"
        self._authority = authority
        self._process = ServerProcess(self.name)

    def start(self) -> None:
        """Start it and wait until it listens."""
        text = _UNBOUND.format(
            address=_ADDRESS,
            port=self.port,
            folder=self._process.directory,
            zone=self._authority.zone,
            upstream=self._authority.port,
        )
        path = _written(self._process.directory / "unbound.conf", text)
        self._process.start([program("unbound"), "-d", "-c", path], self._listens)

    def _listens(self) -> bool:
        return listening(_ADDRESS, self.port)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def log(self) -> str:
        """Return its log."""
        return self._process.log()

    def questions(self, name: str, kind: str) -> int:
        """Return how often it was asked for a name and type."""
        return self.log().count(f" {name}. {kind} IN")


def _with_class(text: str) -> str:
    """Return a record with its class, which stands behind the time to live."""
    first, _, rest = text.partition(" ")
    return f"{first} IN {rest}" if first.isdigit() else f"IN {text}"


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)
