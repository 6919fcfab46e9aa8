# -*- test-case-name: tests.edge.mail.test_service -*-
"""A mail service: one domain's mail is kept in Maildirs, all other mail goes to a smart host."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from twisted.application.service import Application
from twisted.cred.checkers import AllowAnonymousAccess
from twisted.internet.endpoints import serverFromString
from twisted.mail.interfaces import IAliasableDomain
from twisted.mail.mail import MailService
from twisted.mail.maildir import MaildirDirdbmDomain, MaildirMessage
from twisted.mail.smtp import User
from zope.interface import implementer

from slimtwist.edge.mail import MailEdge, RelayDomain
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.service import Listener, RelayService


@implementer(IAliasableDomain)
class Maildirs(MaildirDirdbmDomain):
    """A domain whose users have a Maildir each."""

    def startMessage(self, user: User) -> MaildirMessage:
        """Return what writes a message to a file, octet for octet."""
        folder = Path(os.fsdecode(self.root), os.fsdecode(user.dest.local))
        name = uuid4().hex
        unfinished = folder / "tmp" / name
        return MaildirMessage(
            bytes(user.dest), unfinished.open("wb"), str(unfinished), str(folder / "new" / name)
        )


def make_service(runtime: Runtime, folder: str) -> MailService:
    """Return a service that listens on port 2525 of this host."""
    service = MailService()
    service.smtpPortal.registerChecker(AllowAnonymousAccess())
    users = Maildirs(service, os.fsencode(folder))
    users.addUser(b"postmaster", os.urandom(16))
    service.addDomain(b"example.com", users)

    queue = DirectQueue(runtime, runtime.relay("smtp:smarthost.example.com:port=587"))
    service.domains.setDefaultDomain(RelayDomain(runtime, queue, local=service.domains))

    endpoint = serverFromString(runtime.reactor, "tcp:2525:interface=127.0.0.1")
    edge = MailEdge(runtime, service.getESMTPFactory())
    relay = RelayService(runtime, queue, [Listener(endpoint, edge, "tcp:2525")])
    relay.setServiceParent(service)
    return service


application = Application("mail")
make_service(default_runtime(), "maildirs").setServiceParent(application)
