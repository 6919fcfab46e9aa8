# -*- test-case-name: tests.pages.test_composing -*-
"""A filter between C{twistd relay} and its smart host: each message says who has sent it."""

from __future__ import annotations

from dataclasses import replace

from twisted.application.service import Application
from zope.interface import implementer

from slimtwist.assembly import assemble
from slimtwist.choices import Choices
from slimtwist.envelope import Envelope
from slimtwist.errors import PermanentRelayError
from slimtwist.interfaces import IRelayPolicy
from slimtwist.outcome import Outcome
from slimtwist.policy.headers import AddHeader
from slimtwist.relay.policy import PolicyRelay
from slimtwist.relay.shared import SharedRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.service import RelayService

TOO_LARGE = Outcome.of(Reply.parse("552 5.3.4 a megabyte is enough"))


@implementer(IRelayPolicy)
class Screen:
    """Says on top of each message where it came from, and refuses large ones."""

    def apply(self, envelope: Envelope) -> Envelope:
        """Add the field. See L{IRelayPolicy.apply}."""
        if envelope.content.size > 1_000_000:
            raise PermanentRelayError(TOO_LARGE)
        return AddHeader("X-Client", envelope.client.ip or "local").apply(envelope)


def make_service(runtime: Runtime) -> RelayService:
    """Return what C{twistd relay --relay screened} would be, if there were such a relay."""
    smarthost = runtime.relay("smtp:smarthost.example.com:port=587")
    screened = SharedRelay(PolicyRelay(smarthost, [Screen()], runtime=runtime), "screened")
    choices = Choices(relay="screened", smtp=["tcp:2525:interface=127.0.0.1"])
    return assemble(choices, replace(runtime, defined={"screened": screened}))


application = Application("filter")
make_service(default_runtime()).setServiceParent(application)
