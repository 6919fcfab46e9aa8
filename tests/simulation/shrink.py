# -*- test-case-name: tests.simulation.test_shrink -*-
"""A smaller plan in which the same goes wrong.

Parts are removed one after the other, and kept out while the run still breaks the same law; then
what is left is made plainer.  It ends when no step helps any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, TypeVar

from tests.simulation.plan import Client, Message, Plan, Settings
from tests.simulation.run import run

#: Plans that have failed, one a line, each under what it violated.
REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")

_Item = TypeVar("_Item")
_Value = TypeVar("_Value", Client, Settings)

Fails = Callable[[Plan], bool]


def breaks_same(plan: Plan) -> Fails:
    """Return what tells whether a plan breaks the law that this one breaks first."""
    law = run(plan).violations[0].partition(":")[0]

    def fails(each: Plan) -> bool:
        try:
            violations = run(each).violations
        except ValueError:  # settings that contradict each other without the one that went
            return False
        return any(found.startswith(f"{law}:") for found in violations)

    return fails


def shrink(plan: Plan, fails: Fails) -> Plan:
    """Return a plan that fails as well, and of which nothing can be taken away."""
    steps = _smaller(plan)
    while (step := next(steps, None)) is not None:
        if fails(step):
            plan = step
            steps = _smaller(plan)
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Yield plans that are a little smaller or plainer, those that save most first."""
    for place in range(len(plan.messages)):
        yield replace(plan, messages=_without(plan.messages, place))
    for place in range(len(plan.faults)):
        yield replace(plan, faults=_without(plan.faults, place))
    for place in range(len(plan.records)):
        yield replace(plan, records=_without(plan.records, place))
    used = {message.client for message in plan.messages}
    if idle := [client for client in plan.clients if client.number not in used]:
        yield replace(plan, clients=tuple(each for each in plan.clients if each not in idle))
    for place, message in enumerate(plan.messages):
        for plainer in _plainer_message(message):
            yield replace(plan, messages=_with(plan.messages, place, plainer))
    for place, client in enumerate(plan.clients):
        for same in _defaults(client, Client(client.number)):
            yield replace(plan, clients=_with(plan.clients, place, same))
    for settings in _defaults(plan.settings, Settings()):
        yield replace(plan, settings=settings)


def _plainer_message(message: Message) -> Iterator[Message]:
    if len(message.recipients) > 1:
        for place in range(len(message.recipients)):
            yield replace(message, recipients=_without(message.recipients, place))
    for size in (0, 2, message.size // 2):
        if size < message.size:
            yield replace(message, size=size)
    if message.tries > 1:
        yield replace(message, tries=1)
    if message.shape != "text":
        yield replace(message, shape="text")


def _defaults(value: _Value, plain: _Value) -> Iterator[_Value]:
    """Yield the value with one field after the other as in a plain one."""
    for each in fields(value):
        if getattr(value, each.name) != getattr(plain, each.name):
            yield replace(value, **{each.name: getattr(plain, each.name)})


def _without(items: tuple[_Item, ...], place: int) -> tuple[_Item, ...]:
    return (*items[:place], *items[place + 1 :])


def _with(items: tuple[_Item, ...], place: int, item: _Item) -> tuple[_Item, ...]:
    return (*items[:place], item, *items[place + 1 :])


def write(plan: Plan, violation: str, file: Path = REGRESSIONS) -> None:
    """Add a plan to those that are run in every test, under what it violated."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"# {' '.join(violation.split())[:160]}\n{plan!r}\n")


def regressions(file: Path = REGRESSIONS) -> list[Plan]:
    """Return the plans that have failed."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Plan.parse(line) for line in lines if line and not line.startswith("#")]
