# -*- test-case-name: tests.relay.test_policies -*-
"""Descriptions of relays with policies before them: C{headers:}, C{split:} and C{forward:}."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slimtwist.description import number, switch, unbracketed
from slimtwist.interfaces import IRelay, IRelayPolicy
from slimtwist.policy.forward import Forward
from slimtwist.policy.headers import AddDateHeader, AddHeader, AddMessageIdHeader
from slimtwist.policy.split import RecipientDomainSplit, RecipientSplit
from slimtwist.relay.policy import PolicyRelay
from slimtwist.relay.shared import part_of
from slimtwist.runtime import Runtime


def parse_headers(
    runtime: Runtime,
    relay: str,
    *,
    date: str = "no",
    message_id: str = "no",
    add: str | None = None,
) -> IRelay:
    """Build a relay that puts header fields on top of messages before another one gets them.

    @param relay: the name of a defined relay, or a description in brackets.
    @param date: C{yes} adds a Date where there is none.
    @param message_id: C{yes} adds a Message-ID where there is none.
    @param add: a field, as C{[Name: value]}, for every message.
    @raise ValueError: there is no such relay, or an argument is wrong.
    """
    policies: list[IRelayPolicy] = []
    if add is not None:
        policies.append(_field(add))
    if switch("message_id", message_id):
        policies.append(AddMessageIdHeader(runtime=runtime))
    if switch("date", date):
        policies.append(AddDateHeader(runtime=runtime))
    if not policies:
        raise ValueError("the fields are missing: write date=yes, message_id=yes or add=[X: y]")
    return PolicyRelay(part_of(runtime, relay), policies, runtime=runtime)


def _field(text: str) -> AddHeader:
    name, colon, value = unbracketed(text).partition(":")
    if not colon:
        raise ValueError(f"add={text!r} is no field: write add=[Name: value]")
    try:
        return AddHeader(name, value.strip())
    except ValueError as error:
        raise ValueError(f"add: {error}") from error


def parse_split(
    runtime: Runtime, relay: str, *, recipients: str | None = None, domains: str = "no"
) -> IRelay:
    """Build a relay that splits messages before another one gets them.

    @param relay: the name of a defined relay, or a description in brackets.
    @param recipients: no part has more of them.
    @param domains: C{yes} for parts with recipients of one domain each.
    @raise ValueError: there is no such relay, or an argument is wrong.
    """
    policies: list[IRelayPolicy] = []
    if switch("domains", domains):
        policies.append(RecipientDomainSplit())
    if recipients is not None:
        policies.append(RecipientSplit(number("recipients", recipients, least=1)))
    if not policies:
        raise ValueError("how to split is missing: write recipients=NUMBER or domains=yes")
    return PolicyRelay(part_of(runtime, relay), policies, runtime=runtime)


def parse_forward(runtime: Runtime, relay: str, *, table: str) -> IRelay:
    """Build a relay that replaces addresses of recipients before another one gets the messages.

    @param relay: the name of a defined relay, or a description in brackets.
    @param table: a file with an old and a new address in each line; those of L{Forward}.
    @raise ValueError: there is no such relay, or the file is wrong; the text names the line.
    """
    try:
        text = Path(table).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"table: {table}: {getattr(error, 'strerror', 'not UTF-8')}") from error
    addresses: dict[str, str] = {}
    for place, old, new in _pairs(table, text):
        if old in addresses:
            raise ValueError(f"{place}: {old} is there already")
        addresses[old] = new
        try:
            Forward({old: new})
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    return PolicyRelay(part_of(runtime, relay), [Forward(addresses)], runtime=runtime)


def _pairs(table: str, text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the place of each line that says something, and its two words."""
    for count, line in enumerate(text.splitlines(), 1):
        words = line.split()
        place = f"table: {table}: line {count}"
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise ValueError(f"{place}: write the old address, a space, and the new one")
        yield place, words[0], words[1]
