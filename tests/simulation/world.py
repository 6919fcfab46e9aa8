# -*- test-case-name: tests.simulation.test_simulation -*-
"""The whole program, as in production, between modelled clients and modelled peers.

Clock, network, names and randomness are those of a L{MemoryReactor}; nothing else is put in the
place of anything.  A scenario builds the relay and its peers (L{tests.simulation.scenarios}); the
queue, the edges, the service and the clients are the same in all.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from random import Random
from typing import Final

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.ssl import CertificateOptions

from slimtwist.edge.auth import portal
from slimtwist.edge.http.factory import HttpEdgeFactory
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.limits import Limits, Timeouts
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from slimtwist.service import Listener, RelayService
from slimtwist.testing import Fate, MemoryReactor, Wire
from slimtwist.testing.network import Attempt as Connecting
from tests.simulation import faults
from tests.simulation.caller import Caller
from tests.simulation.ledger import Ledger
from tests.simulation.models.client import CREDENTIALS, Submitter
from tests.simulation.models.http_client import Poster
from tests.simulation.models.http_server import HttpService
from tests.simulation.models.zones import Zones
from tests.simulation.plan import Client, Fault, Plan, derived
from tests.simulation.seams import WatchedQueue, WatchedRelay

EDGE: Final = "127.0.0.1"
PORTS: Final = {"smtp": 25, "lmtp": 24, "http": 8025}
START: Final = 1_700_000_000.0
#: Seconds after which a run that is not over hangs.
HORIZON: Final = 40_000.0
#: Seconds that a stop may take: those of the clients, of the queue, of the last goodbyes.
STOP: Final = 200.0
#: Nobody looks at it: TLS is opaque here.
_CERTIFICATE: Final = CertificateOptions()


def _portal() -> Portal:
    name, password = CREDENTIALS
    return portal([InMemoryUsernamePasswordDatabaseDontUse(**{name.decode(): password})])


class World:
    """A run in the making.

    @ivar plan: what happens in it.
    @ivar ledger: what has happened.
    @ivar script: what peers say instead of the right reply.
    @ivar fates: of attempts to connect: C{"peer 0"}.
    @ivar wires: what is done to connections: C{"peer 0"}.
    @ivar hosts: names of next hops, by address, where there are several: faults then say C{mx1 0}.
    @ivar zones: the domain name system, where there is one.
    @ivar posts: the HTTP service, where there is one.
    @ivar relay: the relay, watched.
    @ivar stopped: whether the service has stopped.
    @ivar left: our timers that there were then.
    @ivar files: the descriptors that there were before.
    """

    edge = EDGE

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self.reactor = MemoryReactor(start=START)
        self.script = faults.Script(self)
        self.fates: dict[str, Fate] = {}
        self.wires: dict[str, list[tuple[Fault, Callable[[Wire], None]]]] = {}
        self.hosts: dict[str, str] = {}
        self.zones: Zones | None = None
        self.posts: HttpService | None = None
        self.stopping: Deferred[None] | None = None
        self.stopped = False
        self.files = 0
        self.left: list[str] = []
        self._counts: dict[tuple[str, str], int] = {}
        if plan.settings.shuffled:
            order = Random(derived(plan.seed, "order")).random
            self.reactor.pick = lambda count: int(order() * count)
        network = self.reactor.network
        network.fate, network.on_wire = self._fate, self._on_wire
        self.runtime = self._runtime()
        scenario = import_module(f"tests.simulation.scenarios.{plan.scenario}")
        self.relay = WatchedRelay(self.reactor, self.ledger, scenario.relay(self))
        self.queue = self._queue()
        self.service = self._service()
        faults.inject(self)
        self.service.startService()
        self.clients = [self._client(each) for each in plan.clients]

    def stop(self) -> None:
        """Stop the service, once."""
        if self.stopping is None:
            self.stopping = self.service.stopService()
            self.stopping.addBoth(self._note_stopped)

    @property
    def idle(self) -> bool:
        """Whether nobody wants anything any more."""
        return self.queue.running == 0 and all(each.done for each in self.clients)

    def side(self, attempt: Connecting) -> str:
        """Return who is connected to: C{client} for the edge, C{peer} for a next hop."""
        return "client" if attempt.host == EDGE and attempt.port in PORTS.values() else "peer"

    def _runtime(self) -> Runtime:
        settings = self.plan.settings
        return Runtime(
            self.reactor,
            hostname="relay.example",
            random=Random(derived(self.plan.seed, "runtime")),
            limits=Limits(uses=settings.uses, memory=settings.memory),
            timeouts=Timeouts(idle=settings.idle, direct=settings.direct, final=settings.final),
        )

    def _queue(self) -> WatchedQueue:
        runtime = self.runtime
        queue = DirectQueue(
            runtime, self.relay, limits=runtime.limits, timeouts=runtime.timeouts, name="simulated"
        )
        return WatchedQueue(self.ledger, queue)

    def _service(self) -> RelayService:
        entries = {each.entry for each in self.plan.clients} & set(PORTS) or {"smtp"}
        listeners = [self._listener(entry) for entry in sorted(entries)]
        return RelayService(self.runtime, self.queue, listeners)

    def _listener(self, entry: str) -> Listener:
        runtime = self.runtime
        options = EdgeOptions(
            lmtp=entry == "lmtp",
            limits=runtime.limits,
            timeouts=runtime.timeouts,
            certificate=_CERTIFICATE if any(each.secure for each in self.plan.clients) else None,
            portal=_portal() if any(each.login for each in self.plan.clients) else None,
        )
        endpoint = TCP4ServerEndpoint(self.reactor, PORTS[entry], interface=EDGE)
        edge = HttpEdgeFactory if entry == "http" else SmtpEdgeFactory
        return Listener(endpoint, edge(runtime, self.queue, options), entry)

    def _client(self, client: Client) -> Submitter | Caller:
        mine = [each for each in self.plan.messages if each.client == client.number]
        if client.entry == "call":
            return Caller(self, client, mine)
        address = (EDGE, PORTS[client.entry])
        kind = Poster if client.entry == "http" else Submitter
        return kind(self.reactor, address, self.ledger, client, mine)

    def _note_stopped(self, _: object) -> None:
        self.stopped = True

    # The network.

    def _number(self, what: str, attempt: Connecting) -> str:
        side = self.hosts.get(attempt.host) or self.side(attempt)
        number = self._counts.get((what, side), 0)
        self._counts[what, side] = number + 1
        return f"{side} {number}"

    def _fate(self, attempt: Connecting) -> Fate | None:
        fate = self.fates.get(self._number("attempt", attempt)) or self.fates.get(attempt.host)
        if fate is not None:
            self.ledger.injected["connect"] += 1
        return fate

    def _on_wire(self, wire: Wire) -> None:
        for fault, act in self.wires.get(self._number("wire", wire.attempt), ()):
            self.ledger.injected[fault.kind] += 1
            act(wire)
