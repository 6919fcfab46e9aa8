# -*- test-case-name: tests.relay.test_pipe -*-
"""Relays that give a message to a program: any command, maildrop, Dovecot's delivery agent.

No shell has a part in it: a command is split when it is configured, and each value of a message is
put into one argument.

Sources: sysexits.h, Postfix's pipe(8), maildrop(1), dovecot-lda(1).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.address import Address
from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.child import CannotRun, Child
from slimtwist.relay.dress import Dress, fields
from slimtwist.relay.process import Ending, Run
from slimtwist.relay.sysexits import exit_statuses, outcome
from slimtwist.relay.template import Template, UnfitValue, command
from slimtwist.reply import Reply, printable
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.together import Cancellable, side_by_side

#: Seconds that a program may take.
TIMEOUT: Final = 1000.0
#: Programs that run at once.
AT_ONCE: Final = 20
_LOOP: Final = Reply.parse("554 5.4.6 mail loop: the message was delivered here before")


@implementer(IRelay)
class PipeRelay:
    """Gives each message to a program, once for each recipient."""

    _log = Logger()

    def __init__(
        self,
        args: Sequence[str],
        timeout: float | None = None,
        *,
        per_recipient: bool = True,
        concurrency: int = AT_ONCE,
        leading_dash: bool = False,
        require_full_read: bool = False,
        exit_codes: Mapping[int, str] | None = None,
        dress: Dress | None = None,
        child: Child | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Make a relay; nothing runs before the first attempt.

        @param args: the program and its arguments, which may have names of
            L{slimtwist.relay.template.NAMES} in braces.
        @param timeout: seconds that a program may take; then all of its process group is killed.
        @param per_recipient: run it once for each recipient; else once for all, and an argument
            with C{{recipient}} in it becomes one for each.
        @param concurrency: how many run at once.
        @param leading_dash: let a value make its argument begin with C{-}.
        @param require_full_read: a program that did not read all of the message has not taken it,
            whatever it says.
        @param exit_codes: changes to L{slimtwist.relay.sysexits.EXIT_STATUSES}.
        @param dress: what is done to the message first.
        @param child: the surroundings in which the program runs.
        @param runtime: clock and processes; C{None} for those of this process.
        @raise ValueError: an argument is wrong; the text names it.
        """
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency} runs nothing")
        self._command = command(args)
        self._timeout = TIMEOUT if timeout is None else timeout
        self._per_recipient = per_recipient
        self._places = DeferredSemaphore(concurrency)
        self._leading_dash = leading_dash
        self._require_full_read = require_full_read
        self._statuses = exit_statuses(exit_codes or {})
        self._dress = dress or Dress()
        self._child = child or Child()
        self._reactor = (runtime or default_runtime()).reactor
        self._busy = 0
        self._stopping = False
        self._stopped = Latch()

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Run the program. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError(fault_outcome("deferred", "shutting down")))
        self._busy += 1
        done = Cancellable(lambda _: self._attempt(envelope)).done
        return done.addBoth(self._ended)

    def stop(self) -> Deferred[None]:
        """Refuse new attempts, let programs end. See L{IRelay.stop}."""
        self._stopping = True
        self._look_for_end()
        return self._stopped.wait()

    def __repr__(self) -> str:
        """Tell the program, for operators."""
        return f"<{type(self).__name__} {self._command[0].text}>"

    async def _attempt(self, envelope: Envelope) -> Report:
        count = len(envelope.recipients)
        groups = [[i] for i in range(count)] if self._per_recipient else [list(range(count))]
        outcomes = await side_by_side(self._deliver(envelope.subset(each)) for each in groups)
        return Report.merge(
            (group, Report.uniform(self._known(each), len(group)))
            for group, each in zip(groups, outcomes, strict=True)
        )

    async def _deliver(self, envelope: Envelope) -> Outcome:
        """Run the program for the recipients of an envelope."""
        try:
            argv = self._argv(envelope)
            if self._loops(envelope):
                return self._ours(_LOOP)
            await self._places.acquire()
        except UnfitValue as error:
            return self._ours(Reply.parse(error.reply))
        except CancelledError:
            return self._fault("cancelled", "")
        run = self._run(envelope)
        try:
            self._child.spawn(self._reactor, run, argv)
        except CannotRun as error:
            run.abandon()
            self._log.error("{error}", error=str(error))
            return self._fault("configuration", str(error))
        try:
            return self._meaning(await run.ended)
        except CancelledError:
            return self._fault("cancelled", "", ambiguous=run.fed)

    def _run(self, envelope: Envelope) -> Run:
        recipient = envelope.recipients[0] if self._per_recipient else None
        blocks = self._dress.blocks(envelope, recipient, self._reactor.seconds())
        run = Run(self._reactor, blocks, self._timeout)
        self._busy += 1
        run.gone.addBoth(self._ended).addBoth(lambda _: self._places.release())
        return run

    def _argv(self, envelope: Envelope) -> list[str]:
        names = [name for template in self._command for name in template.names]
        values = _values(envelope, names)
        return [
            argument
            for template in self._command
            for argument in self._arguments(template, envelope, values)
        ]

    def _arguments(
        self, template: Template, envelope: Envelope, values: Mapping[str, str]
    ) -> list[str]:
        """Return an argument, or one for each recipient where it names them."""
        if not template.names & _OF_RECIPIENT.keys():
            return [template.fill(values, leading_dash=self._leading_dash)]
        return [
            template.fill(
                {**values, **{name: get(each.address) for name, get in _OF_RECIPIENT.items()}},
                leading_dash=self._leading_dash,
            )
            for each in envelope.recipients
        ]

    def _loops(self, envelope: Envelope) -> bool:
        if not (self._dress.delivered_to and self._per_recipient):
            return False
        ours = str(envelope.recipients[0].address).lower()
        return ours in map(str.lower, fields(envelope.content, "Delivered-To"))

    def _meaning(self, ending: Ending) -> Outcome:
        if ending.timed_out:
            detail = f"{self._command[0].text} did not end in {self._timeout:g} s"
            return self._fault("timeout", detail, ambiguous=ending.fed)
        if ending.status is None:
            how = "was lost" if ending.signal is None else f"was killed by signal {ending.signal}"
            return self._fault("internal", f"the program {how}", ambiguous=ending.fed)
        if self._require_full_read and not ending.fed and ending.status == 0:
            return self._fault("internal", "the program did not read all of the message")
        return outcome(ending.status, ending.output, self._statuses, self._command[0].text)

    def _ours(self, reply: Reply) -> Outcome:
        return Outcome.of(reply, host=self._command[0].text, command="RCPT")

    def _fault(self, fault: str, detail: str, *, ambiguous: bool = False) -> Outcome:
        host = self._command[0].text
        return fault_outcome(fault, detail, host=host, command="end of data", ambiguous=ambiguous)

    def _known(self, result: Outcome | Failure) -> Outcome:
        if isinstance(result, Outcome):
            return result
        self._log.failure("a delivery to {relay} failed", result, relay=self)
        return self._fault("internal", printable(type(result.value).__name__), ambiguous=True)

    def _ended(self, result: object) -> object:
        self._busy -= 1
        self._look_for_end()
        return result

    def _look_for_end(self) -> None:
        if self._stopping and not self._busy:
            self._stopped.release()


class MaildropRelay(PipeRelay):
    """Delivers with maildrop, as the user that the daemon or the program runs as."""

    _program: ClassVar[str] = "maildrop"
    _options: ClassVar[Sequence[str]] = ("-f", "{sender}")

    def __init__(
        self,
        path: str | None = None,
        timeout: float | None = None,
        extra_args: Sequence[str] | None = None,
        **arguments: Any,  # noqa: ANN401 - each has a type of its own
    ) -> None:
        """Make a relay.

        @param path: of the program.
        @param timeout: seconds that it may take.
        @param extra_args: further arguments, with names in braces.
        @param arguments: those of L{PipeRelay}.
        @raise ValueError: an argument is wrong; the text names it.
        """
        arguments.setdefault("dress", Dress(eol="lf"))
        super().__init__(
            [path or self._program, *self._options, *(extra_args or ())], timeout, **arguments
        )


class DovecotLdaRelay(MaildropRelay):
    """Delivers with Dovecot's local delivery agent, to the user named like the recipient."""

    _program = "/usr/lib/dovecot/dovecot-lda"
    _options = ("-f", "{sender}", "-d", "{recipient}")


_OF_RECIPIENT: Final[Mapping[str, Callable[[Address], str]]] = {
    "recipient": str,
    "localpart": lambda address: address.local,
    "domain": lambda address: address.domain,
    "extension": lambda address: address.local.partition("+")[2],
}


def _values(envelope: Envelope, names: Collection[str]) -> dict[str, str]:
    """Return what the names that are no recipient's stand for."""
    client = envelope.client
    values = {
        "sender": str(envelope.sender),
        "envelope_id": envelope.id,
        "client_ip": client.ip or "",
        "client_host": client.host or "",
        "client_ehlo": client.helo or "",
        "client_protocol": client.protocol or "",
        "client_auth": client.auth or "",
    }
    if "message_id" in names:
        values["message_id"] = next(iter(fields(envelope.content, "Message-ID")), "")
    return values
