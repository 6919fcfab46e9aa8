# -*- test-case-name: tests.edge.mail -*-
"""Relays behind the mail servers of twisted.mail.

L{RelayDelivery} is what a server of C{twisted.mail.smtp} hands messages to, L{RelayRealm} gives it
to clients that a portal lets in, and L{RelayDomain} is a domain of a C{MailService}.
L{with_true_replies} lets any factory of such servers say what the next hop has said; L{MailEdge}
lets a service stop them in good order.
"""

from __future__ import annotations

from slimtwist.edge.mail.delivery import RelayDelivery, RelayRealm
from slimtwist.edge.mail.domain import RelayDomain
from slimtwist.edge.mail.edge import MailEdge
from slimtwist.edge.mail.protocol import TrueReplies, with_true_replies
from slimtwist.edge.mail.reception import Check

__all__ = [
    "Check",
    "MailEdge",
    "RelayDelivery",
    "RelayDomain",
    "RelayRealm",
    "TrueReplies",
    "with_true_replies",
]
