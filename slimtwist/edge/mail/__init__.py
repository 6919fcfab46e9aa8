# -*- test-case-name: tests.edge.mail -*-
"""Relays behind the mail servers of twisted.mail.

L{RelayDelivery} is what a server of C{twisted.mail.smtp} hands messages to, L{RelayRealm} gives it
to clients that a portal lets in.  L{with_true_replies} lets any factory of such servers say what
the next hop has said.
"""

from __future__ import annotations

from slimtwist.edge.mail.delivery import RelayDelivery, RelayRealm
from slimtwist.edge.mail.protocol import TrueReplies, with_true_replies

__all__ = ["RelayDelivery", "RelayRealm", "TrueReplies", "with_true_replies"]
