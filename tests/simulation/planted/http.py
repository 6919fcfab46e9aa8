# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of HTTP, out and in."""

# ruff: noqa: ANN401, ARG001, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Any, Final

from twisted.web.client import BrowserLikeRedirectAgent

from slimtwist.content import Content
from slimtwist.edge.http import delivery
from slimtwist.edge.http.delivery import Delivery
from slimtwist.edge.http.repeats import Repeats
from slimtwist.relay.http import exchange, relay, request, result
from slimtwist.relay.http.exchange import Exchange
from slimtwist.relay.http.head import Heads
from slimtwist.relay.http.link import Fixed, Pool
from slimtwist.relay.http.result import Meaning, Response
from slimtwist.reply import Reply
from tests.simulation.defects import Aim, defect, put
from tests.simulation.plan import Client, Fault, Plan
from tests.simulation.planted.aims import sent

_TAKEN: Final = Reply.parse("250 2.0.0 taken")
_POSTER: Final = Client(0, entry="http", json=True)


def _answered(name: str, at: float = 1, **aimed: Any) -> Aim:
    """Return an aim: message 0 gets such a response."""
    return sent(Fault("reply", "response m0", at=at, value=name), keeps=1000.0, **aimed)


def _twice(aim: Aim) -> Aim:
    """Return an aim: all messages are tried twice."""

    def aimed(plan: Plan) -> Plan:
        plan = aim(plan)
        messages = tuple(replace(each, tries=2, null=False) for each in plan.messages)
        return replace(plan, messages=messages)

    return aimed


def _apart(aim: Aim) -> Aim:
    """Return an aim: the second message comes when the first is long gone."""

    def aimed(plan: Plan) -> Plan:
        plan = aim(plan)
        first, second = plan.messages
        clients = replace(plan.clients[0], start=0.0), Client(1, start=40.0, entry="call")
        return replace(plan, clients=clients, messages=(first, replace(second, client=1)))

    return aimed


@defect("a redirect is followed", "peer", "http", _answered("303"))
def _followed() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self, agent, address: there(self, BrowserLikeRedirectAgent(agent), address)

    with put(Fixed, "__init__", make):
        yield


@defect("a good status hides a refusal", "L1", "http", _answered("smtp 200 550"))
def _hidden() -> Iterator[None]:
    def make(there: Any) -> Any:
        def one(self: Meaning, response: Response, wait: float | None) -> Any:
            bare = replace(response, headers={}) if response.good else response
            return there(self, bare, wait)

        return one

    with put(Meaning, "_one", make):
        yield


@defect("a request that was lost is repeated", "L4", "http", _answered("end close"))
def _repeated() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def run(self: Exchange, envelope: Any) -> Any:
            outcomes = await there(self, envelope)
            return await there(self, envelope) if outcomes[0].ambiguous else outcomes

        return run

    with put(Exchange, "run", make):
        yield


@defect(
    "a success counts that came before the message was sent",
    "L1",
    "http",
    sent(
        Fault("reply", "early response m0", at=1, value="smtp 204 250"),
        Fault("window", "peer 0 up", at=1000),
        size=131072,
        keeps=1000.0,
    ),
)
def _early() -> Iterator[None]:
    def make(there: Any) -> Any:
        def late(*given: Any, early: bool) -> Any:
            return there(*given)

        return late

    with put(exchange, "Response", make):
        yield


@defect("429 is for good", "table", "http", _answered("429", spare=False))
def _hard_429() -> Iterator[None]:
    def make(there: Any) -> Any:
        return MappingProxyType({**there, 429: "550 5.7.0 HTTP"})

    with put(relay, "STATUSES", make):
        yield


@defect(
    "each request has a key of its own",
    "peer",
    "http",
    _twice(_answered("503", client=Client(0, entry="call", same=True))),
)
def _other_key() -> Iterator[None]:
    numbers = count()

    def make(there: Any) -> Any:
        return lambda envelope: f"{there(envelope)}{next(numbers)}"

    with put(request, "idempotency_key", make):
        yield


@defect("what is no response is taken for one", "table", "http", _answered("malformed plus"))
def _believed() -> Iterator[None]:
    with put(Heads, "feed", lambda _: lambda self, octets: ""):
        yield


@defect("nobody hears when to come again", "L11", "http", _answered("later 503"))
def _unhurried() -> Iterator[None]:
    with put(result, "_retry_after", lambda _: lambda text, now: None):
        yield


@defect(
    "a kept connection is used without a look at it",
    "FRESH",
    "http",
    _apart(sent(messages=2, idle=60.0, keeps=5.0)),
)
def _stale() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def get(self: Pool, key: Any, endpoint: Any) -> Any:
            kept = self.__dict__.get("_last") or await there(self, key, endpoint)
            self.__dict__["_last"] = kept
            return kept

        return get

    with put(Pool, "_get", make):
        yield


@defect("a request has no deadline", "L7", "http", _answered("silent none", final=20.0))
def _endless() -> Iterator[None]:
    with put(Exchange, "_too_late", lambda _: lambda self, posting: None):
        yield


@defect(
    "a service that was never reached may have the message",
    "L4",
    "http",
    sent(Fault("connect", "peer 0", value="REFUSED"), keeps=1000.0),
)
def _doubtful() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda *given, **named: replace(there(*given, **named), ambiguous=True)

    with put(exchange, "fault_outcome", make):
        yield


@defect("the HTTP edge answers before it knows", "L1", "http", _answered("500", client=_POSTER))
def _hasty() -> Iterator[None]:
    async def submit(self: Delivery, content: Content, digest: bytes) -> None:
        envelope = self._envelope(content)
        self._submitted(envelope, digest)
        self._replies = [each or _TAKEN for each in self._replies]

    with put(Delivery, "submit", lambda _: submit):
        yield


@defect(
    "the HTTP edge tells all what the first was told",
    "L1",
    "http",
    sent(
        Fault("reply", "result m0r1", value="550"),
        client=_POSTER,
        recipients=2,
        answers="json",
        keeps=1000.0,
    ),
)
def _lost_refusal() -> Iterator[None]:
    def make(there: Any) -> Any:
        def answered(recipients: Any, replies: Any, *, as_json: bool) -> Any:
            return there(recipients, replies[:1] * len(replies), as_json=as_json)

        return answered

    with put(delivery, "answered", make):
        yield


@defect(
    "a success is forgotten, and the message taken again",
    "L4",
    "http",
    _twice(
        sent(
            Fault("cut", "client 0 down", at=20, value="RST"),
            client=replace(_POSTER, keyed=True),
            keeps=1000.0,
        )
    ),
)
def _forgotten() -> Iterator[None]:
    with put(Repeats, "_keep", lambda _: lambda self, key, entry, replies: None):
        yield
