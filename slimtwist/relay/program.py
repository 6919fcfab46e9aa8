# -*- test-case-name: tests.relay.test_program -*-
"""A program that takes messages: what it is run for, how, and what its end means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slimtwist.address import Recipient
from slimtwist.envelope import Envelope
from slimtwist.errors import fault_outcome
from slimtwist.outcome import Outcome
from slimtwist.relay.child import Child
from slimtwist.relay.commandline import CommandLine
from slimtwist.relay.dress import Dress
from slimtwist.relay.process import Ending, Run
from slimtwist.relay.sysexits import outcome
from slimtwist.relay.system import system_of
from slimtwist.relay.template import UnfitValue
from slimtwist.relay.unread import Unread
from slimtwist.reply import Reply

_LOOP: Final = Reply.parse("554 5.4.6 mail loop: the message was delivered here before")
_CONFIGURATION: Final = "configuration"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a program, or why there is none.

    @ivar positions: of the recipients that it is for.
    @ivar argv: the program and its arguments.
    @ivar refusal: why it is not run.
    """

    positions: Sequence[int]
    argv: Sequence[bytes] = ()
    refusal: Reply | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """How a program is run.

    @ivar command: the program, and templates of its arguments.
    @ivar child: its surroundings.
    @ivar dress: what is done to a message before.
    @ivar statuses: exit status -> enhanced status code.
    @ivar timeout: seconds that it may take.
    @ivar per_recipient: whether it is run for each recipient, or once for all.
    @ivar require_full_read: whether one that did not read all of a message has not taken it.
    @raise ValueError: the time is none, or a message for all would name one of them.
    """

    command: CommandLine
    child: Child
    dress: Dress
    statuses: Mapping[int, str]
    timeout: float
    per_recipient: bool
    require_full_read: bool

    def __post_init__(self) -> None:
        """Check what contradicts itself."""
        if not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout:g} leaves no time")
        if self.dress.names_recipient and not self.per_recipient:
            raise ValueError("delivered_to and x_original_to need a run for each recipient")

    def jobs(self, envelope: Envelope) -> Iterator[Job]:
        """Yield the runs for a message; each recipient is in one of them.

        @raise OSError: the message cannot be read.
        """
        values = self.command.values(envelope)
        visited = self.dress.visited(envelope.content)
        together = []
        for position, recipient in enumerate(envelope.recipients):
            job = self._job([position], values, [recipient])
            if str(recipient.address).lower() in visited:
                yield Job([position], refusal=_LOOP)
            elif self.per_recipient or job.refusal is not None:
                yield job
            else:
                together.append(position)
        if together:
            yield self._job(together, values, [envelope.recipients[i] for i in together])

    def run(self, reactor: Any, envelope: Envelope, job: Job) -> Run:  # noqa: ANN401 - as in Runtime
        """Return a run for some recipients of a message, to be given to L{Child.spawn}."""
        recipient = envelope.recipients[job.positions[0]] if self.per_recipient else None
        blocks = self.dress.blocks(envelope, recipient, reactor.seconds())
        unread = Unread(wanted=self.require_full_read, system=system_of(reactor))
        return Run(reactor, blocks, self.timeout, unread)

    def refused(self, reply: Reply) -> Outcome:
        """Return the outcome of recipients for whom nothing was run."""
        return Outcome.of(reply, host=self.command.program, command="RCPT")

    def fault(self, fault: str, detail: str = "", *, ambiguous: bool = False) -> Outcome:
        """Return the outcome of a fault of L{slimtwist.errors.FAULTS}."""
        return fault_outcome(
            fault, detail, host=self.command.program, command="end of data", ambiguous=ambiguous
        )

    def meaning(self, ending: Ending) -> Outcome:
        """Return what a program has said by its end."""
        program = self.command.program
        if ending.stopped == "timeout":
            detail = f"{program} did not end in {self.timeout:g} s"
            return self.fault("timeout", detail, ambiguous=ending.fed)
        if ending.stopped:
            detail = f"{program} was ended: {ending.stopped}"
            return self.fault("internal", detail, ambiguous=ending.fed)
        if ending.status is None:
            how = "was lost" if ending.signal is None else f"was killed by signal {ending.signal}"
            return self.fault("internal", f"{program} {how}", ambiguous=ending.fed)
        if self.child.never_ran(ending.status, ending.output):
            return self.fault(_CONFIGURATION, f"{program} cannot be started")
        return self._said(ending.status, ending)

    def _said(self, status: int, ending: Ending) -> Outcome:
        program = self.command.program
        said = outcome(status, ending.output, self.statuses, program)
        if said.reply.positive and self.require_full_read and not (ending.fed and ending.read):
            return self.fault("internal", f"{program} did not read all of the message")
        return said

    def _job(
        self, positions: Sequence[int], values: Mapping[str, str], recipients: Sequence[Recipient]
    ) -> Job:
        try:
            return Job(positions, self.command.fill(values, recipients))
        except UnfitValue as error:
            return Job(positions, refusal=Reply.parse(error.reply))
