# -*- test-case-name: tests.simulation.test_defects -*-
"""Plans in which a defect may show, where the plans that are drawn have to be changed much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.simulation.defects import Aim
from tests.simulation.plan import Client, Fault, Message, Plan

#: Settings under which nothing but faults is in the way of a message.
CALM: Any = {
    "tls": "none",
    "login": False,
    "direct": 570.0,
    "final": 600.0,
    "idle": 60.0,
    "uses": 100,
    "offers": ("8BITMIME", "SMTPUTF8", "PIPELINING"),
}


def sent(
    *faults: Fault,
    client: Client | None = None,
    messages: int = 1,
    recipients: int = 1,
    size: int = 0,
    shape: str = "",
    **settings: Any,  # noqa: ANN401 - each has a type of its own
) -> Aim:
    """Return an aim: one client, who sends some messages, among these faults.

    @param client: in the place of those that were drawn; an application by default.
    @param messages: how many, each made of the first that was drawn.
    @param recipients: of each message.
    @param size: of each; 0 for what was drawn.
    @param shape: of each; without it C{exact} where there is a size, else what was drawn.
    @param settings: in the place of those of L{CALM}.
    """
    octets = size, shape

    def aim(plan: Plan) -> Plan:
        sender = replace(client or Client(0, entry="call"), number=0)
        return replace(
            plan,
            settings=replace(plan.settings, **(CALM | settings)),
            clients=(sender,),
            messages=tuple(_like(plan.messages[0], n, recipients, octets) for n in range(messages)),
            faults=faults,
        )

    return aim


def _like(first: Message, number: int, recipients: int, octets: tuple[int, str]) -> Message:
    """Return a message like the first, for others; its octets are its own."""
    size, shape = octets
    drawn = "text" if first.shape == "bare" else first.shape
    return replace(
        first,
        number=number,
        seed=first.seed + number,
        size=size or first.size,
        shape=shape or ("exact" if size else drawn),
        recipients=tuple(f"m{number}r{each}@d1.example" for each in range(recipients)),
        client=0,
        tries=1,
        null=False,
    )
