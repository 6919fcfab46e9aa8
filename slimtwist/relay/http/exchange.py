# -*- test-case-name: tests.relay.http.test_relay -*-
"""One request and its response, and what it means if there is none.

Sources: RFC 9110 9.2.2 (what may be sent again), 15 (status codes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from hyperlink import DecodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import fault_outcome
from slimtwist.outcome import Outcome
from slimtwist.relay.http.body import ContentBody
from slimtwist.relay.http.reading import read
from slimtwist.relay.http.request import Names, Secrets, fields
from slimtwist.relay.http.result import Meaning, Response
from slimtwist.reply import printable
from slimtwist.smtp.tls import explain
from slimtwist.smtp.verification import CertificateRejected

#: Octets of a response's body that are read.
_BODY: Final = 65536
_ANYWHERE: Final = "http://service.invalid/"
_CONNECTING: Final = (ConnectError, DNSLookupError)


@dataclass(frozen=True, slots=True)
class Service:
    """What is posted to.

    @ivar url: where.
    @ivar verb: in place of POST.
    @ivar timeout: seconds for a whole request.
    @ivar ehlo_as: what we call ourselves.
    @ivar names: of the fields.
    @ivar secrets: what proves who we are.
    @ivar meaning: what its responses mean.
    """

    url: DecodedURL
    verb: str
    timeout: float
    ehlo_as: str
    names: Names
    secrets: Secrets
    meaning: Meaning

    @property
    def host(self) -> str:
        """Who it is, for people; what else a URL may hold is not told."""
        return f"{self.url.host}:{self.url.port}"


class Exchange:
    """One request."""

    _log = Logger()

    def __init__(self, reactor: Any, client: HTTPClient, service: Service) -> None:  # noqa: ANN401
        """Begin with nothing written."""
        self._reactor = reactor
        self._client = client
        self._service = service
        self._body = ContentBody(Content.of(b""), reactor)
        self._late = False

    async def run(self, envelope: Envelope) -> tuple[Outcome, ...]:
        """Post a message; return an outcome for each recipient, whatever happens."""
        self._body = ContentBody(envelope.content, self._reactor)
        posting = Deferred.fromCoroutine(self._post(envelope))
        timer = self._reactor.callLater(self._service.timeout, self._too_late, posting)
        count = len(envelope.recipients)
        try:
            response = await posting
        except Exception:  # noqa: BLE001 - whatever it is, it becomes an outcome
            return (self._fate(Failure()),) * count
        finally:
            if timer.active():
                timer.cancel()
            self._body.stopProducing()  # the content is nobody's any more
        return self._service.meaning.outcomes(response, count, self._reactor.seconds())

    def _too_late(self, posting: Deferred[Response]) -> None:
        self._late = True
        posting.cancel()

    async def _post(self, envelope: Envelope) -> Response:
        service = self._service
        headers = await fields(
            envelope, service.ehlo_as, service.names, service.secrets, self._reactor
        )
        if self._body.expects:
            headers.setRawHeaders("Expect", ["100-continue"])
        response: Any = await self._client.request(
            service.verb,
            _ANYWHERE,  # the agent knows where
            headers=headers,
            data=self._body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        while hasattr(response, "original"):  # what treq would decompress, and buffer
            response = response.original
        return await self._read(cast("IResponse", response))

    async def _read(self, answer: IResponse) -> Response:
        # What comes before the message has left cannot be said of it.
        whole = self._body.finished
        return Response(
            answer.code,
            answer.phrase.decode("utf-8", "replace"),
            {
                name.decode("latin-1").lower(): [
                    value.decode("utf-8", "replace") for value in values
                ]
                for name, values in answer.headers.getAllRawHeaders()
            },
            await read(answer, _BODY),
            early=not whole,
        )

    def _fate(self, failure: Failure) -> Outcome:
        """Return what it means that there is no response."""
        error = failure.value
        if self._late:
            detail = f"no response in {self._service.timeout:g} s"
            return self._fault("timeout", detail)
        if self._body.complaint:
            return self._fault("protocol", self._body.complaint)
        reasons = getattr(error, "reasons", None) or [failure]
        if any(each.check(CancelledError, ConnectingCancelledError) for each in reasons):
            return self._fault("cancelled", "")
        if isinstance(error, _CONNECTING):
            return self._fault("connect", str(error), command="connect")
        kinds = (SSL.Error, CertificateRejected)
        if tls := next((each for each in reasons if each.check(*kinds)), None):
            command = "end of data" if self._body.finished else "STARTTLS"
            return self._fault("tls", explain(tls), command=command)
        if not (hasattr(error, "reasons") or isinstance(error, OSError | ConnectionClosed)):
            self._log.failure("a request to {host} failed", failure, host=self._service.host)
        return self._fault("lost", "; ".join(dict.fromkeys(map(_said, reasons))))

    def _fault(self, fault: str, detail: str, *, command: str = "end of data") -> Outcome:
        return fault_outcome(
            fault,
            printable(detail),
            command=command,
            host=self._service.host,
            ambiguous=self._body.finished,
        )


def _said(reason: Failure) -> str:
    return explain(reason)
