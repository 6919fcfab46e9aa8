# -*- test-case-name: tests.test_errors -*-
"""What can go wrong in an attempt, and the tables that say what each fault means.

An error carries the L{Outcome} that holds for the whole message.  L{STAGES} says what trouble means
at each point of a dialogue, L{FAULTS} what recipients get where the peer gave no reply.

Sources: RFC 5321 4.2.4 and 4.5.4, RFC 3463 (status codes), RFC 5321 5.1 (other exchangers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Literal, Self

from slimtwist.outcome import Outcome, Verdict
from slimtwist.reply import Reply


@dataclass(frozen=True, slots=True)
class Stage:
    """What trouble at one point of the dialogue means.

    @ivar scope: what a refusal here is about.  C{host}: the session, so that even a 5yz only defers
        the message.  C{message}, C{recipient}: a 5yz fails it, or him, for good.
    @ivar next_host: whether another host of the same destination may be asked at once after a
        transient failure here (RFC 5321 5.1).
    """

    scope: Literal["host", "message", "recipient"]
    next_host: bool


#: The points of a dialogue, in its order: the values of L{Outcome.command}.
STAGES: Final[Mapping[str, Stage]] = MappingProxyType(
    {
        "connect": Stage("host", next_host=True),
        "greeting": Stage("host", next_host=True),
        "EHLO": Stage("host", next_host=True),
        "STARTTLS": Stage("host", next_host=True),
        "AUTH": Stage("host", next_host=True),
        "MAIL": Stage("message", next_host=True),
        "RCPT": Stage("recipient", next_host=True),
        "DATA": Stage("message", next_host=False),
        "end of data": Stage("message", next_host=False),
    }
)

#: What recipients get for a fault for which the peer gave no reply; its detail follows the text.
#: After each of these the connection is not used again.
FAULTS: Final[Mapping[str, Reply]] = MappingProxyType(
    {
        "deferred": Reply.parse("451 4.0.0 deferred"),
        "connect": Reply.parse("451 4.4.1 cannot connect"),
        "lost": Reply.parse("451 4.4.2 connection lost"),
        "timeout": Reply.parse("451 4.4.2 timed out"),
        "protocol": Reply.parse("451 4.5.0 protocol error"),
        "tls": Reply.parse("451 4.7.5 TLS failed"),
        "no tls": Reply.parse("451 4.7.4 TLS is required"),
        "auth": Reply.parse("451 4.7.0 authentication failed"),
        "cancelled": Reply.parse("451 4.3.2 attempt cancelled"),
        "configuration": Reply.parse("451 4.3.5 wrong configuration"),
        "internal": Reply.parse("451 4.3.0 internal error"),
        "deadline": Reply.parse("451 4.4.7 attempt took too long"),
    }
)

#: RFC 7504 3: as a greeting it says that the host takes no mail at all.  Its 556 is for RCPT (4).
_NO_MAIL_HERE: Final = 521
#: Characters that are kept of a detail.
_DETAIL: Final = 1024
_AMBIGUOUS: Final = "the message may be delivered more than once"


class RelayError(Exception):
    """An attempt failed, in the same way for all recipients.

    @ivar outcome: what each recipient gets.
    @cvar verdicts: those that the outcome can have; never that it was delivered.
    """

    verdicts: ClassVar[frozenset[Verdict]] = frozenset({Verdict.DEFERRED, Verdict.FAILED})

    def __init__(self, outcome: Outcome) -> None:
        """Raise with the outcome that holds for the whole message.

        @raise ValueError: this error cannot have that outcome.
        """
        if outcome.verdict not in self.verdicts:
            raise ValueError(f"{outcome.reply} is not what {type(self).__name__} means")
        super().__init__(outcome)
        self.outcome = outcome

    def __str__(self) -> str:
        """Return reply, command and host in one line."""
        where = " ".join(filter(None, (self.outcome.command, self.outcome.host)))
        return f"{self.outcome.reply} ({where})" if where else str(self.outcome.reply)


class PermanentRelayError(RelayError):
    """No retry will help."""

    verdicts = frozenset({Verdict.FAILED})


class TransientRelayError(RelayError):
    """A retry may help."""

    verdicts = frozenset({Verdict.DEFERRED})
    fault: ClassVar[str] = "deferred"

    @property
    def ambiguous(self) -> bool:
        """Whether the next hop may have taken the message."""
        return self.outcome.ambiguous

    @classmethod
    def at(
        cls,
        detail: str,
        *,
        command: str | None = None,
        host: str | None = None,
        ambiguous: bool = False,
    ) -> Self:
        """Return the error with the reply of L{FAULTS}, its text followed by C{detail}."""
        return cls(
            fault_outcome(cls.fault, detail, command=command, host=host, ambiguous=ambiguous)
        )


class ConnectionFailed(TransientRelayError):
    """No connection was made: refused, unreachable, no such host, no time left."""

    fault = "connect"


class ConnectionLost(TransientRelayError):
    """The peer, or the network, ended the connection."""

    fault = "lost"


class ReplyTimeout(TransientRelayError):
    """A wait of L{slimtwist.limits.Timeouts} passed."""

    fault = "timeout"


class ProtocolViolation(TransientRelayError):
    """The peer sent what no RFC allows here; nothing it says afterwards can be trusted."""

    fault = "protocol"


class TLSFailed(TransientRelayError):
    """The connection could not be protected as the policy wants it."""

    fault = "tls"


class AttemptCancelled(TransientRelayError):
    """Whoever wanted the attempt no longer does."""

    fault = "cancelled"


class AuthenticationFailed(TransientRelayError):
    """The peer does not take our credentials, or offers no way to give them."""

    fault = "auth"


def fault_outcome(
    fault: str,
    detail: str,
    *,
    command: str | None = None,
    host: str | None = None,
    ambiguous: bool = False,
) -> Outcome:
    """Return what a fault of L{FAULTS} means to a recipient.

    @param fault: a key of L{FAULTS}.
    @param detail: follows the text of the table.
    """
    reply = FAULTS[fault]
    text = f"{reply.text}: {detail[:_DETAIL]}" if detail else reply.text
    if ambiguous:
        text = f"{text}; {_AMBIGUOUS}"
    return Outcome(Verdict.DEFERRED, reply.with_text(text), host, command, ambiguous)


def relay_error(
    outcome: Outcome, kind: type[TransientRelayError] = TransientRelayError
) -> RelayError:
    """Return the error that says an outcome which holds for the whole message.

    @param kind: of the error, unless the outcome is a failure for good.
    @raise ValueError: it was delivered.
    """
    return PermanentRelayError(outcome) if outcome.verdict is Verdict.FAILED else kind(outcome)


def refusal(reply: Reply, command: str, *, host: str | None, tls: str | None = None) -> Outcome:
    """Return what a peer's 4yz or 5yz means to a recipient, by L{STAGES}.

    @param command: a key of L{STAGES}.
    @raise ValueError: the reply refuses nothing.
    """
    if reply.code < 400:
        raise ValueError(f"{reply} refuses nothing")
    no_mail_here = command == "greeting" and reply.code == _NO_MAIL_HERE
    if STAGES[command].scope == "host" and reply.permanent and not no_mail_here:
        reply = reply.softened(f"{command} refused")
    return Outcome.of(reply, host=host, command=command, tls=tls)


def try_next_host(outcome: Outcome) -> bool:
    """Tell whether another host of the same destination may be asked at once for this recipient.

    Never after an ambiguous end, nor after a refusal for good, but for a host that says in its
    greeting that it takes no mail at all (RFC 7504).
    """
    stage = STAGES.get(outcome.command or "")
    if stage is None or outcome.ambiguous or outcome.verdict is Verdict.DELIVERED:
        return False
    return stage.scope == "host" if outcome.verdict is Verdict.FAILED else stage.next_host
