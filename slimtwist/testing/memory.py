# -*- test-case-name: tests.testing.test_memory -*-
"""A relay whose outcomes a test writes down, for tests of what stands above relays.

That the next hop greylists the second recipient is one line; a list is gone through once::

    relay = MemoryRelay({"second@example.net": ["450 4.7.1 greylisted"]})

and so is a relay that waits until it is told how an attempt ends::

    relay = MemoryRelay(hold=True)
    ...
    relay.made[0].answer("250 2.0.0 ok", "550 5.1.1 no such user")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply

_NONE: Final[Iterator[Outcome]] = iter(())


class MemoryAttempt:
    """An attempt that a L{MemoryRelay} was asked to make.

    @ivar envelope: the message.
    @ivar attempts: how many attempts were made before.
    @ivar octets: what its content held when the attempt began.
    @ivar done: what the caller got; fires as the test says.
    @ivar ambiguous: whether cancelling it leaves its end open; a test may set it.
    @ivar cancelled: whether it was cancelled.
    """

    def __init__(
        self,
        envelope: Envelope,
        attempts: int,
        prepared: Iterable[Outcome],
        ended: Callable[[], None],
    ) -> None:
        """Begin; a L{MemoryRelay} does this."""
        self.envelope = envelope
        self.attempts = attempts
        self.octets = b""
        self.done: Deferred[Report] = Deferred(self._cancel)
        self.ambiguous = False
        self.cancelled = False
        self._prepared = Report(tuple(prepared))
        self._ended = ended

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self.done.called

    def answer(self, *replies: str) -> None:
        """Let the attempt end with a report.

        @param replies: such as C{"450 4.7.1 greylisted"}: one for each recipient, or one for all of
            them, or none for what the relay was made with.
        @raise ValueError: there are more or fewer, or one is no final reply.
        @raise twisted.internet.defer.AlreadyCalledError: it has ended before.
        """
        self.done.callback(self._report(replies) if replies else self._prepared)
        self._ended()

    def fail(self, error: Exception) -> None:
        """Let the attempt fail.

        @param error: a L{RelayError<slimtwist.errors.RelayError>}; or any other, to see what
            becomes of it.
        @raise twisted.internet.defer.AlreadyCalledError: it has ended before.
        """
        self.done.errback(error)
        self._ended()

    def _report(self, replies: tuple[str, ...]) -> Report:
        count = len(self.envelope.recipients)
        outcomes = tuple(map(_outcome, replies)) * (count if len(replies) == 1 else 1)
        if len(outcomes) != count:
            raise ValueError(f"{len(outcomes)} replies for {count} recipients")
        return Report(outcomes)

    def _cancel(self, _: Deferred[Report]) -> None:
        self.cancelled = True
        self.fail(AttemptCancelled.at("", ambiguous=self.ambiguous))


@implementer(IRelay)
class MemoryRelay:
    """Keeps what it was given, and answers as a test says.

    @ivar made: the attempts that it was asked to make, in order, also those that have ended.
    """

    def __init__(
        self,
        replies: Mapping[str, str | Sequence[str]] | None = None,
        *,
        otherwise: str = "250 2.0.0 delivered",
        hold: bool = False,
    ) -> None:
        """Begin without an attempt.

        @param replies: what recipients get, by address: a reply each time, or a list of what they
            get the first time, the second time and so on.
        @param otherwise: what all others get, and those whose list is over.
        @param hold: let each attempt wait for L{MemoryAttempt.answer} or L{MemoryAttempt.fail}.
        @raise ValueError: a reply is no final one.
        """
        self.made: list[MemoryAttempt] = []
        self._outcomes = {name: _series(given) for name, given in (replies or {}).items()}
        self._otherwise = _outcome(otherwise)
        self._hold = hold
        self._stopping = False
        self._stopped: list[Deferred[None]] = []

    @property
    def running(self) -> list[MemoryAttempt]:
        """The attempts that have not ended yet."""
        return [each for each in self.made if each.running]

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Keep a message, and answer unless that is left to the test. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError.at("the relay has been stopped"))
        addresses = [str(recipient.address) for recipient in envelope.recipients]
        prepared = [next(self._outcomes.get(each, _NONE), self._otherwise) for each in addresses]
        attempt = MemoryAttempt(envelope, attempts, prepared, self._ended)
        self.made.append(attempt)
        try:
            attempt.octets = bytes(envelope.content)
        except OSError as error:
            attempt.fail(TransientRelayError.at(str(error)))
        else:
            if not self._hold:
                attempt.answer()
        return attempt.done

    def stop(self) -> Deferred[None]:
        """Refuse new attempts; fires when the running ones have ended. See L{IRelay.stop}."""
        self._stopping = True
        if not self.running:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        return stopped

    def __repr__(self) -> str:
        """Tell what it is and how much goes on."""
        return f"<MemoryRelay {len(self.running)} running of {len(self.made)}>"

    def _ended(self) -> None:
        if not self.running:
            stopped, self._stopped = self._stopped, []
            for each in stopped:
                each.callback(None)


def _series(given: str | Sequence[str]) -> Iterator[Outcome]:
    """Return what a recipient gets, time after time."""
    if isinstance(given, str):
        return repeat(_outcome(given))
    return iter([_outcome(each) for each in given])


def _outcome(reply: str) -> Outcome:
    return Outcome.of(Reply.parse(reply))
