# -*- test-case-name: tests.test_interfaces -*-
"""What the parts of slimtwist expect of each other, and what other packages provide.

Edges know queues, queues know relays, relays know nobody above them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from slimtwist.content import Content
    from slimtwist.envelope import Envelope
    from slimtwist.outcome import Report
    from slimtwist.policy.parts import Part
    from slimtwist.reply import Reply
    from slimtwist.runtime import Runtime

    #: What a policy may return.
    Decision: TypeAlias = Envelope | Iterable[Part]
    Applied: TypeAlias = Decision | Deferred[Decision] | Coroutine[Any, Any, Decision]


class IRelay(Interface):
    """Takes messages one hop further."""

    def attempt(envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Make one attempt to deliver a message.

        The content is only read, and not after the Deferred has fired.  Cancelling the Deferred
        abandons the attempt.

        @param envelope: the message.
        @param attempts: how many attempts were made before.
        @return: fires once, with an outcome for each recipient in the envelope's order.  Fails with
            L{PermanentRelayError<slimtwist.errors.PermanentRelayError>} or
            L{TransientRelayError<slimtwist.errors.TransientRelayError>} when one outcome holds for
            the whole message; with L{AttemptCancelled<slimtwist.errors.AttemptCancelled>} when
            cancelled, which says whether the end is ambiguous.
        """

    def stop() -> Deferred[None]:
        """Refuse new attempts, let running ones end, close idle connections.

        @return: fires when nothing is left; may be asked for again.
        """


class IRelayPolicy(Interface):
    """Looks at each message before an attempt, and may change, split or refuse it.

    Run by L{PolicyRelay<slimtwist.relay.policy.PolicyRelay>}.
    """

    def apply(envelope: Envelope) -> Applied:
        """Say what becomes of a message in this attempt.

        The content is only read.  Content that the policy makes is closed when the attempt has
        ended.

        @return: the envelope, the same or another one with as many recipients, whose positions stay
            what they are; or L{Part<slimtwist.policy.parts.Part>}s, in which each position is there
            once; or a Deferred or coroutine of either.
        @raise slimtwist.errors.RelayError: the message is refused for all recipients, for now or
            for good.  After any other exception it is deferred.
        """


class IRelayPlugin(Interface):
    """Builds a relay from a description; provided together with C{twisted.plugin.IPlugin}."""

    prefix = Attribute("The word before the first colon of a description: C{'smtp'}.")

    def parse(runtime: Runtime, *args: str, **kwargs: str) -> IRelay:
        """Build a relay.

        @param runtime: what the relay needs from outside.
        @param args: the arguments of the description that have no name.
        @param kwargs: those that have one.
        @raise ValueError: an argument is wrong; the text names it and says how to mend it.
        """


class IMessageSink(Interface):
    """Where an edge writes a message while it comes in, in the manner of a file."""

    def write(octets: bytes) -> None:
        """Take a block with CRLF line ends.

        @raise BareNewline: a CR or an LF stands alone.
        @raise OSError: there is no room for it.
        """

    def finish() -> Content:
        """Return what was written. Raises like L{write}."""

    def abandon() -> None:
        """Forget what was written; may be called at any time."""


class IQueue(Interface):
    """Owns messages between edge and relay."""

    single = Attribute(
        "True if recipients of one message can be answered differently only one at a time: an edge "
        "whose protocol has one reply for a message then takes one recipient."
    )

    def sink() -> IMessageSink:
        """Return where the octets of a new message are written."""

    def submit(envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Take a message over.

        The queue owns the content from here on, and closes it.

        @return: fires with a reply for each recipient: what may now be promised to the client.
            Never fails but by being cancelled, which says that nobody waits any more.
        """

    def stop() -> Deferred[None]:
        """Refuse new messages, let running ones end, stop the relay; fires when nothing is left."""
