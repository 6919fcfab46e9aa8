# -*- test-case-name: tests.edge.mail.test_service -*-
"""A server of twisted.mail whose messages go to a smart host."""

from __future__ import annotations

from twisted.cred.checkers import AllowAnonymousAccess
from twisted.cred.portal import Portal
from twisted.mail.smtp import ESMTP, SMTPFactory

from slimtwist.edge.mail import RelayDelivery, RelayRealm, with_true_replies
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime


class Servers(SMTPFactory):
    """What the program has already: its servers, with whatever they do besides."""

    protocol = ESMTP


def make_factory(runtime: Runtime) -> Servers:
    """Return what a port is listened with."""
    queue = DirectQueue(runtime, runtime.relay("smtp:smarthost.example.com:port=587"))
    realm = RelayRealm(RelayDelivery(runtime, queue))
    return with_true_replies(Servers(Portal(realm, [AllowAnonymousAccess()])))
