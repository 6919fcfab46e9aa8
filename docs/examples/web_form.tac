# -*- test-case-name: tests.pages.test_composing -*-
"""A web application that sends: what is written into a form goes to us by mail."""

from __future__ import annotations

from email.message import EmailMessage

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

import slimtwist
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report, Verdict
from slimtwist.runtime import Runtime, default_runtime

STATUSES = {Verdict.DELIVERED: 200, Verdict.DEFERRED: 503, Verdict.FAILED: 502}


class Form(Resource):
    """Takes C{from} and C{text} of a form."""

    isLeaf = True

    def __init__(self, relay: IRelay, runtime: Runtime) -> None:
        """Send by this relay."""
        super().__init__()
        self._relay = relay
        self._runtime = runtime

    def render_POST(self, request: Request) -> int:
        """Send it, and tell the browser what became of it."""
        fields = {
            name: values[0].decode("utf-8", "replace") for name, values in request.args.items()
        }
        message = EmailMessage()
        message["From"] = "Our web site <web@example.com>"
        message["To"] = "info@example.com"
        message["Subject"] = "From the form"
        message.set_content(f"{fields.get(b'from')} writes:\n\n{fields.get(b'text')}\n")
        # Who leaves does not end the attempt: nobody would know whether the message was taken.
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        sending = slimtwist.send(
            self._relay, None, None, message, runtime=self._runtime, seconds=30
        )
        sending.addCallback(self._answer, request, gone)
        return NOT_DONE_YET

    def _answer(self, report: Report, request: Request, gone: Deferred[None]) -> None:
        if gone.called:
            return
        [outcome] = report
        request.setResponseCode(STATUSES[outcome.verdict])
        request.write(f"{outcome.verdict.value}: {outcome.reply}\n".encode())
        request.finish()


class Sending(Service):
    """Ends the connections to the smart host with the application."""

    def __init__(self, relay: IRelay) -> None:
        """Stop this relay when the time has come."""
        self._relay = relay

    def stopService(self) -> Deferred[None]:
        """Let running attempts end."""
        super().stopService()
        return self._relay.stop()


def make_service(runtime: Runtime) -> MultiService:
    """Return a service that listens on port 8080 of this host."""
    relay = runtime.relay("smtp:smarthost.example.com:port=587")
    endpoint = serverFromString(runtime.reactor, "tcp:8080:interface=127.0.0.1")
    service = MultiService()
    Sending(relay).setServiceParent(service)
    StreamServerEndpointService(
        endpoint, Site(Form(relay, runtime), reactor=runtime.reactor)
    ).setServiceParent(service)
    return service


application = Application("form")
make_service(default_runtime()).setServiceParent(application)
