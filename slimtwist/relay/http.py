# -*- test-case-name: tests.relay.test_http -*-
"""The relay to an HTTP service: a POST for each message.

Redirects are not followed, nothing is decompressed, no cookie is kept.  The address is fixed:
nothing of an envelope has a part in it.

Sources: RFC 9110 9.3.3 (POST), RFC 9112 9.3 (persistent connections).
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, cast

from hyperlink import DecodedURL, URLParseError
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, fail
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.iweb import IPolicyForHTTPS, IResponse
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.body import ContentBody
from slimtwist.relay.httprequest import Names, Secrets, fields
from slimtwist.relay.httpresult import SPARED, STATUSES, Response, outcomes
from slimtwist.relay.reading import read
from slimtwist.reply import printable
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.smtp.tls import TlsMode, TlsPolicy, explain
from slimtwist.smtp.verification import CertificateRejected
from slimtwist.together import Cancellable

#: Requests at once.
AT_ONCE: Final = 20
#: Seconds for a whole request, and for which an idle connection is kept.
TIMEOUT, IDLE = 300.0, 4
#: Octets of a response's body that are read.
_BODY: Final = 65536
_CONNECTING: Final = (ConnectError, DNSLookupError)


@implementer(IPolicyForHTTPS)
class _Policy:
    def __init__(self, policy: TlsPolicy) -> None:
        self._policy = policy

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        return self._policy.creator(hostname.decode("ascii"))


@implementer(IRelay)
class HttpRelay:
    """Gives each message to an HTTP service, over connections that are used again."""

    _log = Logger()

    def __init__(
        self,
        url: str,
        pool_size: int | None = None,
        *,
        verb: str = "POST",
        timeout: float = TIMEOUT,
        idle_timeout: int = IDLE,
        tls: TlsPolicy | None = None,
        ehlo_as: str | None = None,
        names: Names | None = None,
        secrets: Secrets | None = None,
        statuses: Mapping[int, str] | None = None,
        spare_configuration: bool = False,
        runtime: Runtime | None = None,
    ) -> None:
        """Make a relay; nothing is connected before the first attempt.

        @param url: where messages are posted to.
        @param pool_size: requests at once, each over a connection of its own.
        @param verb: in place of POST.
        @param timeout: seconds for a whole request.
        @param idle_timeout: seconds for which an unused connection is kept; less than the
            service's own.
        @param tls: how the service must prove who it is; it always must.
        @param ehlo_as: what we call ourselves; C{None} for the host name of the runtime.
        @param names: of the fields.
        @param secrets: what proves who we are.
        @param statuses: what a status means: L{STATUSES}, or another such table.
        @param spare_configuration: defer mail, and do not fail it, on statuses that tell of a
            fault of configuration.
        @param runtime: clock and network; C{None} for those of the process.
        @raise ValueError: an argument is wrong; the text names it.
        """
        runtime = runtime or default_runtime()
        self._url = _checked(url)
        self._reactor = runtime.reactor
        self._verb = verb
        self._timeout = timeout
        self._ehlo_as = ehlo_as or runtime.hostname
        self._names = names or Names()
        self._secrets = secrets or Secrets()
        self._statuses = statuses or (SPARED if spare_configuration else STATUSES)
        self._places = DeferredSemaphore(pool_size or AT_ONCE)
        self._pool = HTTPConnectionPool(self._reactor)
        self._pool.maxPersistentPerHost = pool_size or AT_ONCE
        self._pool.cachedConnectionTimeout = idle_timeout
        # What Twisted would send again by itself, we decide about.
        self._pool.retryAutomatically = False
        policy = tls or TlsPolicy(TlsMode.VERIFY)
        agent = Agent(self._reactor, _Policy(policy), connectTimeout=30.0, pool=self._pool)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self._client = HTTPClient(agent, cast("Any", no_cookies))
        self._running = 0
        self._stopping = False
        self._stopped = Latch()

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Post a message. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError(fault_outcome("deferred", "shutting down")))
        self._running += 1
        return Cancellable(lambda _: self._attempt(envelope)).done.addBoth(self._ended)

    def stop(self) -> Deferred[None]:
        """Refuse new attempts, let running ones end. See L{IRelay.stop}."""
        self._stopping = True
        self._look_for_end()
        return self._stopped.wait()

    def __repr__(self) -> str:
        """Tell where messages go, for operators; what else a URL may hold is not told."""
        return f"<HttpRelay {self._host}>"

    @property
    def _host(self) -> str:
        return f"{self._url.host}:{self._url.port}"

    async def _attempt(self, envelope: Envelope) -> Report:
        count = len(envelope.recipients)
        body = ContentBody(envelope.content)
        try:
            await self._places.acquire()
        except CancelledError:
            return Report.uniform(self._fault("cancelled", "no request was free"), count)
        try:
            response = await self._post(envelope, body)
        except Exception:  # noqa: BLE001 - whatever it is, it becomes an outcome
            return Report.uniform(self._meaning(Failure(), body), count)
        finally:
            self._places.release()
        now = self._reactor.seconds()
        return Report(outcomes(response, count, statuses=self._statuses, host=self._host, now=now))

    def _post(self, envelope: Envelope, body: ContentBody) -> Deferred[Response]:
        """Make a request within its time."""
        exchange = Deferred.fromCoroutine(self._exchange(envelope, body))
        return exchange.addTimeout(self._timeout, self._reactor)

    async def _exchange(self, envelope: Envelope, body: ContentBody) -> Response:
        try:
            answer = await self._request(envelope, body)
        except ResponseFailed:
            if body.started:
                raise
            # A kept connection was dead before anything of the request was written.
            answer = await self._request(envelope, body)
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
        )

    async def _request(self, envelope: Envelope, body: ContentBody) -> IResponse:
        clock = self._reactor.seconds
        headers = fields(envelope, self._ehlo_as, self._names, self._secrets, clock)
        response: Any = await self._client.request(
            self._verb,
            self._url,
            headers=headers,
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        while hasattr(response, "original"):  # what treq would decompress, and buffer
            response = response.original
        return cast("IResponse", response)

    def _meaning(self, failure: Failure, body: ContentBody) -> Outcome:
        """Return what it means that there is no response."""
        error = failure.value
        if failure.check(CancelledError):
            return self._fault("cancelled", "", ambiguous=body.finished)
        if failure.check(defer.TimeoutError):
            detail = f"no response in {self._timeout:g} s"
            return self._fault("timeout", detail, ambiguous=body.finished)
        if isinstance(error, _CONNECTING):
            return self._fault("connect", str(error), command="connect")
        reasons = getattr(error, "reasons", [failure])
        if tls := next(
            (each for each in reasons if each.check(SSL.Error, CertificateRejected)), None
        ):
            return self._fault("tls", explain(tls), command="STARTTLS")
        if not isinstance(error, ResponseFailed | OSError):
            self._log.failure("a request to {host} failed", failure, host=self._host)
        detail = "; ".join(dict.fromkeys(explain(each) for each in reasons))
        return self._fault("lost", detail, ambiguous=body.finished)

    def _fault(
        self, fault: str, detail: str, *, command: str = "end of data", ambiguous: bool = False
    ) -> Outcome:
        return fault_outcome(
            fault, printable(detail), command=command, host=self._host, ambiguous=ambiguous
        )

    def _ended(self, result: object) -> object:
        self._running -= 1
        self._look_for_end()
        return result

    def _look_for_end(self) -> None:
        if self._stopping and not self._running:
            self._pool.closeCachedConnections().addBoth(lambda _: self._stopped.release())


def _checked(url: str) -> DecodedURL:
    try:
        parsed = DecodedURL.from_text(url)
    except (URLParseError, ValueError) as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is no URL of the form http://HOST/PATH or https://HOST/PATH")
    return parsed
