# -*- test-case-name: tests.integration.test_smarthost -*-
"""Our own client against real servers: a test that has relays, and sends messages through them.

An attempt goes through L{slimtwist.settle.settle}, as a queue would have it, so that whatever a
relay does is a list of outcomes, one for each recipient.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, cast

from cryptography import x509
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome
from slimtwist.relay.smtp.static import StaticLmtpRelay, StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.settle import settle
from slimtwist.smtp.pem import TrustAnchors
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from tests.integration.case import ServerCase
from tests.integration.certificates import Authority

#: A message that every server keeps as it is.
MESSAGE = b"Subject: x\r\n\r\nhello\r\n.\r\n"

#: Longer than any server of a test takes; none is to be found out by its passing.
_DEADLINE = 40.0


def verifying(authority: Authority, **policy: Any) -> TlsPolicy:  # noqa: ANN401 - the policy's own
    """Return the policy that believes one authority, and nobody else."""
    trust = TrustAnchors(tuple(x509.load_pem_x509_certificates(authority.pem)))
    return TlsPolicy(TlsMode.VERIFY, trust=trust, **policy)


def told(outcome: Outcome) -> str:
    """Return what became of a recipient, for comparison: verdict, command, reply."""
    ambiguous = " ambiguous" if outcome.ambiguous else ""
    return f"{outcome.verdict.value}{ambiguous} at {outcome.command}: {outcome.reply}"


class SmarthostCase(ServerCase):
    """A test that delivers to real servers.

    @ivar clock: the global reactor.
    """

    def setUp(self) -> None:
        """Have a runtime of a name that servers are told."""
        super().setUp()
        self.clock = cast("IReactorTime", _reactor)
        self._runtime = Runtime(_reactor, hostname="relay.test")

    def to(self, port: int, host: str = "127.0.0.1", **options: Any) -> StaticSmtpRelay:  # noqa: ANN401
        """Return a relay to a port of this host, which is stopped when the test ends."""
        relay = StaticSmtpRelay(host, port, runtime=self._runtime, **options)
        self.addCleanup(relay.stop)
        return relay

    def lmtp_to(self, port: int, **options: Any) -> StaticLmtpRelay:  # noqa: ANN401
        """Return a relay that speaks LMTP, which is stopped when the test ends."""
        relay = StaticLmtpRelay("127.0.0.1", port, runtime=self._runtime, **options)
        self.addCleanup(relay.stop)
        return relay

    async def send(
        self,
        relay: IRelay,
        *recipients: str,
        sender: str = "s@a.test",
        octets: bytes = MESSAGE,
    ) -> Sequence[Outcome]:
        """Send one message; return the outcome for each recipient, by default for one."""
        envelope = Envelope.parse(sender, recipients or ["r@b.test"], octets)
        report = await settle(self.clock, relay, envelope, 0, _DEADLINE)
        self.assertEqual(len(report.outcomes), len(envelope.recipients))
        return report.outcomes

    def sent(self, relay: IRelay, recipient: str, octets: bytes = MESSAGE) -> Deferred[Outcome]:
        """Begin to send one message to one recipient; fires with his outcome."""
        sending = Deferred.fromCoroutine(self.send(relay, recipient, octets=octets))
        return sending.addCallback(itemgetter(0))

    async def told(self, relay: IRelay, *recipients: str, **message: Any) -> list[str]:  # noqa: ANN401
        """Send one message; return what became of each recipient."""
        return [told(each) for each in await self.send(relay, *recipients, **message)]
