# -*- test-case-name: tests.edge.mail.test_service -*-
"""Who may send through a server of twisted.mail."""

from __future__ import annotations

from slimtwist.address import Address, Recipient
from slimtwist.edge.mail import RelayDelivery
from slimtwist.envelope import Client
from slimtwist.interfaces import IQueue
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime

DENIED = Reply.parse("550 5.7.1 not through here")


def check(client: Client, _sender: Address, recipient: Recipient) -> Reply | None:
    """Take mail for our domain from everybody, and for others from those whom we know."""
    ours = recipient.address.domain.lower() == "example.com"
    return None if ours or client.auth else DENIED


def make_delivery(runtime: Runtime, queue: IQueue) -> RelayDelivery:
    """Return a delivery with that check."""
    return RelayDelivery(runtime, queue, check=check)
