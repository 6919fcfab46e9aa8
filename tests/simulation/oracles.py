# -*- test-case-name: tests.simulation.test_oracles -*-
"""The laws L1 to L12, as checks of what a run has written down.

An oracle is a function of the world that notes violations in the ledger; L{oracle} registers those
that look at the end of a run.  L{buffers} is cheap enough to look at every moment.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import TimeoutError  # noqa: A004 - what a wait fails with

from slimtwist.outcome import Outcome
from slimtwist.testing import Wire
from slimtwist.testing.sockets import StreamSocket
from tests.simulation import opinion
from tests.simulation.ledger import Attempt, Ledger, Said
from tests.simulation.octets import octets
from tests.simulation.table import DEFERRED, ON, POSTED_STAGES, TABLE, UNKNOWN, WORDS

if TYPE_CHECKING:
    from tests.simulation.world import World

Oracle = Callable[["World"], None]
#: What looks at the end of a run, in this order.
ORACLES: Final[list[Oracle]] = []
#: Octets that the program may hold for one connection: a block of a message, and replies.
_BUFFER: Final = 65536 + 65536 + 8192
_TRACE: Final = re.compile(rb"Received: [^\r\n]*(?:\r\n[\t ][^\r\n]*)*\r\n")
_KEY: Final = re.compile(rb"\bid ([^\s;]+)")
#: Octets that a trace field may have.
_FIELD: Final = 400
#: Seconds by which an attempt may pass its deadline: what cancelling takes.
_GRACE: Final = 1.0
#: Seconds that the reply to a command may take; RFC 5321 4.5.3.2 for most.
_WAITS: Final = {"MAIL": 300.0, "RCPT": 300.0, "DATA": 120.0, "body": 240.0, "RSET": 20.0}
_SOFTENED: Final = "not every exchanger was asked"
_VIOLATION: Final = "protocol error"
#: Tell whether somebody else than a peer has said an outcome: a zone.
EXCUSES: Final[list[Callable[[World, Attempt, str, Outcome], bool]]] = []
#: Kinds of replies that are about the connection, whatever they were said to.
_WHOLE: Final = ("goodbye",)


def oracle(check: Oracle) -> Oracle:
    """Register what looks at the end of a run."""
    ORACLES.append(check)
    return check


def judge(world: World) -> None:
    """Let all oracles look."""
    for each in ORACLES:
        each(world)


def buffers(world: World) -> None:
    """Check that what waits in our buffers is bounded (L6)."""
    held = count = 0
    for wire in _wires(world):
        ours = _end(world, wire)
        if ours.holder is not None and not ours.closed:
            count += 1
            held += len(ours.holder.dataBuffer) + ours.holder._tempDataLen  # noqa: SLF001
    if held > count * _BUFFER:
        world.ledger.wrong("L6", f"{held} octets wait in {count} connections")


def _wires(world: World) -> list[Wire]:
    return world.reactor.network.wires


def _end(world: World, wire: Wire) -> StreamSocket:
    """Return the end of a connection that is ours."""
    return wire.client if world.side(wire.attempt) == "peer" else wire.server


def timers(world: World) -> list[str]:
    """Return the timers that are ours."""
    calls = world.reactor.getDelayedCalls()
    return [str(each) for each in calls if _is_ours(each.func)]


def _is_ours(function: Callable[..., object]) -> bool:
    """Tell whether a timer was set by the program; models wait without C{addTimeout}."""
    ours = function.__module__.startswith("slimtwist.")
    return ours or function.__qualname__.startswith("Deferred.addTimeout")


def parts(stored: bytes) -> tuple[str, bytes]:
    """Return the id in the trace field on top of a message, and what is below the field."""
    trace = _TRACE.match(stored)
    key = _KEY.search(trace[0]) if trace else None
    if trace is None or key is None:
        return "", stored
    return key[1].decode(), stored[trace.end() :]


def verdict_of(outcome: Outcome) -> str:
    """Return an outcome in the words of the table."""
    word: str = outcome.verdict.value
    return f"{word}, ambiguous" if outcome.ambiguous else word


@oracle
def _ended(world: World) -> None:
    """Check that each attempt ended once, and in time (L2, L3)."""
    ledger, deadline = world.ledger, world.plan.settings.direct
    for attempt in ledger.attempts:
        if attempt.outcomes is None:
            ledger.wrong("L3", f"attempt {attempt.key} has not ended")
        elif attempt.ended - attempt.began > deadline + _GRACE:
            ledger.wrong("L3", f"attempt {attempt.key} took {attempt.ended - attempt.began} s")
    if not world.idle:
        ledger.wrong("L3", "somebody still waits")
    if not world.stopped:
        ledger.wrong("L3", "the service has not stopped")


@oracle
def _copies(world: World) -> None:
    """Check that delivered is stored once, and what is not delivered nowhere (L1, L4)."""
    ledger = world.ledger
    stored: Counter[tuple[str, str]] = Counter()
    keys = {attempt.key for attempt in ledger.attempts}
    for each in ledger.stored:
        key, _ = parts(each.octets)
        if key not in keys:
            ledger.wrong("L8", f"a message without our trace field: {each.octets[:80]!r}")
        stored[key, each.recipient] += 1
    least: Counter[tuple[str, str]] = Counter()
    most: Counter[tuple[str, str]] = Counter()
    for attempt in ledger.attempts:
        once: Counter[tuple[str, str]] = Counter()
        for name, outcome in zip(attempt.recipients, attempt.outcomes or (), strict=False):
            said = ledger.deciding(outcome.reply.text)
            # Nobody can tell a host that agrees too early from one that agrees in time, when all
            # has left here and not all has arrived there.
            early = said is not None and said.stage == "body"
            once[attempt.key, name] += outcome.verdict.value == "delivered" and not early
            most[attempt.key, name] += outcome.verdict.value == "delivered" or outcome.ambiguous
        least |= once
    for key, name in least | stored:
        copies = stored[key, name]
        if copies < least[key, name]:
            ledger.wrong("L1", f"{name} in {key}: delivered, and {copies} are stored")
        if copies > most[key, name]:
            text = f"{copies} copies, and {most[key, name]} outcomes that explain them"
            ledger.wrong("L4", f"{name} in {key}: {text}")


@oracle
def _octets(world: World) -> None:
    """Check that octets out are octets in, below the trace field (L8)."""
    messages = {f"m{each.number}": each for each in world.plan.messages}
    for each in world.ledger.stored:
        message = messages.get(each.recipient.partition("r")[0])
        if message is None or each.recipient not in message.recipients:
            world.ledger.wrong("L5", f"stored for {each.recipient!r}, whom nobody named")
            continue
        given = octets(message)
        ended = given if given.endswith(b"\r\n") or not given else given + b"\r\n"
        # What came in chunks need not end with CRLF, and goes so to who needs no dot behind it.
        right = (given, ended) if world.plan.scenario in ("http", "pipe") else (ended,)
        if parts(each.octets)[1] not in right:
            world.ledger.wrong("L8", f"the octets for {each.recipient} were changed")


@oracle
def _decided(world: World) -> None:
    """Compare each outcome with the reply that decided it, by the table (L2, L11, L12)."""
    for attempt in world.ledger.attempts:
        for name, outcome in zip(attempt.recipients, attempt.outcomes or (), strict=False):
            said = world.ledger.deciding(outcome.reply.text)
            if said is None and any(each(world, attempt, name, outcome) for each in EXCUSES):
                continue
            # What a peer said in a violation of the protocol is quoted, and decides nothing.
            if said is None or _VIOLATION in outcome.reply.text:
                if said is not None and said.kind == "violation":
                    world.ledger.covered.add((said.stage, said.kind))
                _check_own(world, attempt, name, outcome)
            else:
                _check_said(world.ledger, attempt, name, outcome, said)


@oracle
def _opinion(world: World) -> None:
    """Compare each outcome with what it should be, where replies alone decide."""
    if not opinion.has_opinion(world.plan):
        return
    last = {said.connection: said.token for said in world.ledger.said.values()}
    for said in world.ledger.said.values():
        if TABLE.get((said.stage, said.kind)) == ON and last[said.connection] > said.token:
            world.ledger.covered.add((said.stage, said.kind))
    for attempt in world.ledger.attempts:
        words = opinion.expected(world, attempt)
        for name, outcome in zip(attempt.recipients, attempt.outcomes or (), strict=False):
            word = verdict_of(outcome)
            if word == "failed" and _is_misfit(world, outcome):
                continue  # another connection than the one that was spoken on has shown it
            if name in words and word not in words[name]:
                text = f"{name} in {attempt.key}: {word}, not {', '.join(words[name])}: {outcome}"
                world.ledger.wrong("opinion", text)


@oracle
def _patient(world: World) -> None:
    """Check that silence is waited for as long as its command allows, and no longer (L7)."""
    if not opinion.has_opinion(world.plan):
        return
    final = world.plan.settings.final  # the end may have left before the silence began
    waits = _WAITS | {"end of data": final, "body": max(final, _WAITS["body"])}
    for attempt in world.ledger.attempts:
        said = [each for each in world.ledger.said.values() if each.sender == attempt.sender]
        said = [each for each in said if each.stage in waits]
        if attempt.sender and said and said[-1].kind == "silence":
            waited = attempt.ended - said[-1].moment
            if waited > waits[said[-1].stage] + _GRACE:
                where = f"{attempt.key} after silence at {said[-1].stage}"
                world.ledger.wrong("L7", f"{where} took {waited} s")


def _is_misfit(world: World, outcome: Outcome) -> bool:
    """Tell whether a failure for good is our own: what the host offers shows that it is no use."""
    settings, enhanced = world.plan.settings, outcome.reply.enhanced
    if enhanced in ("5.6.3", "5.6.7"):
        return True
    sizes = [int(each[5:]) for each in settings.offers if each.startswith("SIZE ")]
    longest = max((len(octets(each)) for each in world.plan.messages), default=0)
    # The trace field is part of what is too long.
    return enhanced == "5.3.4" and any(size < longest + _FIELD for size in sizes)


def _check_own(world: World, attempt: Attempt, name: str, outcome: Outcome) -> None:
    """Check an outcome for which no peer's reply is shown: it is never for good."""
    ledger, word = world.ledger, verdict_of(outcome)
    # A reply may be a code without a text, and so without its token.
    bare = any(_explains(each, attempt, name, word) for each in ledger.said.values())
    if word == "failed" and not (bare or _is_misfit(world, outcome)):
        ledger.wrong("L2", f"{name} in {attempt.key} failed, and nobody said so: {outcome}")
    if word == "delivered" and not bare:
        ledger.wrong("L1", f"{name} in {attempt.key} delivered, and nobody said so: {outcome}")
    if outcome.ambiguous and outcome.command not in ("end of data", None):
        ledger.wrong("L4", f"{name} in {attempt.key} is ambiguous at {outcome.command}")


def _explains(said: Said, attempt: Attempt, name: str, word: str) -> bool:
    """Tell whether a reply can have led to an outcome."""
    about = not said.recipients or name in said.recipients
    return about and said.sender in ("", attempt.sender) and _word(said) == word


def _word(said: Said) -> str | None:
    """Return what a reply comes to; one in the middle of a message may be taken for the last."""
    return WORDS.get(("end of data" if said.stage == "body" else said.stage, said.kind))


def _check_said(ledger: Ledger, attempt: Attempt, name: str, outcome: Outcome, said: Said) -> None:
    where = f"{name} in {attempt.key}: {said.kind} at {said.stage} (#{said.token})"
    ledger.covered.add((said.stage, said.kind))
    stage = said.stage
    if stage == "body":  # as the client saw it: before or after its last octet had left
        stage = "end of data" if outcome.command == "end of data" else "DATA"
    stage = "response" if stage == "early response" else stage
    expected = WORDS.get((stage, said.kind))
    if _SOFTENED in outcome.reply.text:
        expected = DEFERRED
    if verdict_of(outcome) != expected and not outcome.ambiguous:
        ledger.wrong("table", f"{where} is {expected}, not {verdict_of(outcome)}")
    if outcome.ambiguous and expected != UNKNOWN:
        ledger.wrong("L4", f"{where} is not ambiguous")
    if said.recipients and name not in said.recipients and said.kind not in _WHOLE:
        ledger.wrong("L12", f"{where} was said of {said.recipients}")
    if said.sender and said.sender != attempt.sender:
        ledger.wrong("L10", f"{where} was said of a message from {said.sender}")
    named = outcome.command == stage or stage in POSTED_STAGES  # HTTP has no commands
    if not named and said.kind not in _WHOLE:
        ledger.wrong("L11", f"{where} is shown as a reply to {outcome.command}")


@oracle
def _told(world: World) -> None:
    """Check that clients are told what happened (L11)."""
    attempts: dict[tuple[str, str], list[Any]] = {}
    for attempt in world.ledger.attempts:
        for place, name in enumerate(attempt.recipients):
            outcome = attempt.outcomes[place] if attempt.outcomes else None
            attempts.setdefault((attempt.sender, name), []).append(outcome)
    for told in world.ledger.told:
        outcomes = attempts.get((told.sender, told.recipient), [])
        delivered = any(o is not None and o.verdict.value == "delivered" for o in outcomes)
        if told.code // 100 == 2 and not delivered:
            world.ledger.wrong("L1", f"told {told.code} of {told.recipient}, and {outcomes}")
        failed = any(o is not None and o.verdict.value == "failed" for o in outcomes)
        if told.code // 100 == 5 and outcomes and not failed:
            world.ledger.wrong("L2", f"told {told.code} of {told.recipient}, and {outcomes}")
        said = world.ledger.deciding(told.text)
        if said is None and outcomes and told.code in (250, 550):
            shown = [o for o in outcomes if o and world.ledger.deciding(o.reply.text)]
            if len(shown) == len(outcomes):
                world.ledger.wrong("L11", f"the reply for {told.recipient} lost its text")


@oracle
def _left(world: World) -> None:
    """Check that nothing is left: no timer, connection, port, process, file (L3, L6)."""
    left = [*world.left, *timers(world)]
    left += [each for each in world.reactor.network.listening() if each.startswith(world.edge)]
    left += [f"connection {wire.up.name}" for wire in _wires(world) if not _end(world, wire).closed]
    left += [f"process {each}" for each in world.reactor.system.running.values()]
    for each in left:
        world.ledger.wrong("left", each)
    if descriptors() > world.files:
        world.ledger.wrong("left", "a descriptor")


def descriptors() -> int:
    """Return the lowest descriptor that is free: a file that is left open has taken it."""
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    return free


def _is_shared(world: World) -> bool:
    """Tell whether an application has messages in the queue of a service that is stopped.

    The queue waits for them, too, when the clients of the service have left, and the service says
    so if that takes longer than all that it knows of.
    """
    stopped = any(fault.kind == "stop" for fault in world.plan.faults)
    return stopped and len({client.entry == "call" for client in world.plan.clients}) == 2


@oracle
def _unexpected(world: World) -> None:
    """Check that nothing raised but what the plan let raise, and that each outcome was logged."""
    ledger = world.ledger
    raised = [event["log_failure"] for event in ledger.events if event.get("log_failure")]
    raised = [each for each in raised if not (_is_shared(world) and each.check(TimeoutError))]
    if len(raised) > ledger.injected["raise"]:
        texts = [str(each) for each in raised]
        ledger.wrong("unexpected", "; ".join(texts)[:2000])
    logged = Counter(event["envelope"] for event in ledger.events if "verdict" in event)
    counts: Counter[str] = Counter()
    for attempt in ledger.attempts:
        counts[attempt.key] += len(attempt.recipients)
    for key, count in counts.items():
        if logged[key] != count:
            ledger.wrong("L2", f"{logged[key]} events for attempt {key}")
