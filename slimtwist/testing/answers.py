# -*- test-case-name: tests.testing.test_smarthost -*-
"""What a fake server answers: its defaults, and what a test puts in their place.

An answer is a text (one or several lines), octets that are sent as they are, a step of
L{slimtwist.testing.steps} such as C{Close()} or C{Wait(30)}, or a tuple of these, one after the
other. For a command, a test gives::

    "450 4.7.1 greylisted"                       this answer, each time
    [None, "450 4.7.1 greylisted"]               the default first, then this, then the default
    {"bob@example.net": ["450 4.7.1 wait"]}      for that mailbox, the first time
    lambda argument: ...                         whatever it returns for the command's argument

where C{None} is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slimtwist.testing.steps import Send, Step

Answer = str | bytes | Step | tuple[str | bytes | Step, ...] | None
Series = Answer | list[Answer]
Rule = Series | Mapping[str, Series] | Callable[[str], Answer]


@dataclass(slots=True)
class Answers:
    """Chooses the answer to each command.

    @ivar rules: the command -> the rule for it.
    """

    rules: Mapping[str, Rule]
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    def choose(self, command: str, argument: str, default: str) -> tuple[Step, ...]:
        """Return the steps that answer a command."""
        chosen = self._chosen(command, argument)
        if chosen is None:
            chosen = default
        parts = chosen if isinstance(chosen, tuple) else (chosen,)
        return tuple(_step(part) for part in parts)

    def _chosen(self, command: str, argument: str) -> Answer:
        """Return what the rules say; a list is gone through once, or once for each mailbox."""
        rule = self.rules.get(command)
        key = command
        if isinstance(rule, Mapping):
            rule = rule.get(argument)
            key = f"{command} {argument}"
        if isinstance(rule, list):
            number = self._counts.get(key, 0)
            self._counts[key] = number + 1
            return rule[number] if number < len(rule) else None
        return rule(argument) if callable(rule) else rule


def _step(part: str | bytes | Step) -> Step:
    if isinstance(part, bytes):
        return Send(part)
    if isinstance(part, str):
        return Send(part.replace("\n", "\r\n").encode() + b"\r\n")
    return part


def code(steps: tuple[Step, ...]) -> str:
    """Return the code that an answer ends with; nothing if it has none."""
    said = b"".join(step.octets for step in steps if isinstance(step, Send))
    lines = [line for line in said.split(b"\r\n") if line]
    last = lines[-1] if lines else b""
    return last[:3].decode() if last[:3].isdigit() and last[3:4] != b"-" else ""


def shortened(steps: tuple[Step, ...], octets: int) -> tuple[Step, ...]:
    """Return an answer as far as its first C{octets} octets go."""
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, Send):
            kept.append(Send(step.octets[:octets]))
            octets = max(0, octets - len(step.octets))
        else:
            kept.append(step)
    return tuple(kept)
