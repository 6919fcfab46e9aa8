# -*- test-case-name: tests.relay.test_pipe -*-
"""Relays that give a message to a program: any command, maildrop, Dovecot's delivery agent.

No shell has a part in it: a command is split when it is configured, and each value of a message is
put into one argument.

Sources: sysexits.h, Postfix's pipe(8), maildrop(1), dovecot-lda(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.child import Child
from slimtwist.relay.commandline import CommandLine
from slimtwist.relay.dress import Dress
from slimtwist.relay.places import Places
from slimtwist.relay.process import Run
from slimtwist.relay.program import Job, Program
from slimtwist.relay.sysexits import exit_statuses
from slimtwist.relay.system import CannotRun
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.together import Cancellable, side_by_side

#: Seconds that a program may take.
TIMEOUT: Final = 1000.0
#: Programs that run at once.
AT_ONCE: Final = 20
#: Seconds in which one complaint is logged that a program cannot be run.
_QUIET: Final = 60.0


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
        self._program = Program(
            CommandLine.parse(args, leading_dash=leading_dash),
            child or Child(),
            dress or Dress(),
            exit_statuses(exit_codes or {}),
            TIMEOUT if timeout is None else timeout,
            per_recipient,
            require_full_read,
        )
        self._places = Places(concurrency)
        self._reactor = (runtime or default_runtime()).reactor
        self._complained: float | None = None
        self._busy = 0  # attempts, and programs, which may outlive them
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
        return f"<{type(self).__name__} {self._program.command.program}>"

    async def _attempt(self, envelope: Envelope) -> Report:
        try:
            jobs = list(self._program.jobs(envelope))
        except Exception:  # noqa: BLE001 - a content may be anybody's file
            self._log.failure("message {id} cannot be read", id=envelope.id)
            outcome = self._program.fault("internal", "the message cannot be read")
            return Report.uniform(outcome, len(envelope.recipients))
        outcomes = await side_by_side(self._deliver(envelope, job) for job in jobs)
        return Report.merge(
            (job.positions, Report.uniform(self._known(each), len(job.positions)))
            for job, each in zip(jobs, outcomes, strict=True)
        )

    async def _deliver(self, envelope: Envelope, job: Job) -> Outcome:
        """Run the program for some recipients, or refuse to."""
        if job.refusal is not None:
            return self._program.refused(job.refusal)
        try:
            await self._places.take()
        except CancelledError:
            return self._program.fault("cancelled")
        run = self._program.run(self._reactor, envelope, job)
        self._busy += 1
        run.gone.addBoth(self._ended).addBoth(lambda _: self._places.give_back())
        return await self._run(run, job)

    async def _run(self, run: Run, job: Job) -> Outcome:
        try:
            self._program.child.spawn(self._reactor, run, job.argv)
        except CannotRun as error:
            self._complain(str(error))
            run.abandon()
            return self._program.fault("configuration", str(error))
        except Exception:
            run.abandon()
            raise
        try:
            return self._program.meaning(await run.ended)
        except CancelledError:
            return self._program.fault("cancelled", ambiguous=run.fed)

    def _complain(self, why: str) -> None:
        """Log that a program cannot be run, but not for each of many messages."""
        now = self._reactor.seconds()
        if self._complained is None or now - self._complained >= _QUIET:
            self._complained = now
            self._log.error("{why}", why=why)

    def _known(self, result: Outcome | Failure) -> Outcome:
        if isinstance(result, Outcome):
            return result
        self._log.failure("a delivery to {relay} failed", result, relay=self)
        return self._program.fault("internal", type(result.value).__name__, ambiguous=True)

    def _ended(self, result: object) -> Any:  # noqa: ANN401 - passed through
        self._busy -= 1
        self._look_for_end()
        return result

    def _look_for_end(self) -> None:
        if self._stopping and not self._busy:
            self._stopped.release()


class MaildropRelay(PipeRelay):
    """Delivers with maildrop, as the user that the daemon or the program runs as."""

    _program_name: ClassVar[str] = "maildrop"
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
            [path or self._program_name, *self._options, *(extra_args or ())], timeout, **arguments
        )


class DovecotLdaRelay(MaildropRelay):
    """Delivers with Dovecot's local delivery agent, to the user named like the recipient.

    It is told (C{-e}) to let us refuse a message, instead of sending a notification by itself.
    """

    _program_name = "/usr/lib/dovecot/dovecot-lda"
    _options = ("-e", "-f", "{sender}", "-d", "{recipient}")
