# -*- test-case-name: tests.relay.http.test_relay -*-
"""The relay to an HTTP service: a POST for each message.

Redirects are not followed, nothing is decompressed, no cookie is kept.  The address is fixed:
nothing of an envelope has a part in it.

Sources: RFC 9110 9.3.3 (POST), RFC 9112 9.3 (persistent connections).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, cast

from hyperlink import DecodedURL, URLParseError
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, fail
from twisted.web.client import Agent
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Report
from slimtwist.relay.http.exchange import Exchange, Service
from slimtwist.relay.http.link import Fixed, Pool, Ways
from slimtwist.relay.http.request import Names, Secrets
from slimtwist.relay.http.result import SPARED, STATUSES, Meaning
from slimtwist.runtime import Runtime, default_runtime, ehlo_name
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.together import Cancellable

#: Requests at once.
AT_ONCE: Final = 20
#: Seconds for connecting, for a whole request, and for which an idle connection is kept.
CONNECT, TIMEOUT, IDLE = 30.0, 300.0, 4.0

_LOCAL: Final = re.compile(r"127\.[0-9.]+\Z|::1\Z|localhost\Z")
_VERB: Final = re.compile(r"[A-Z]{1,20}\Z")


@implementer(IRelay)
class HttpRelay:
    """Gives each message to an HTTP service, over connections that are used again."""

    def __init__(
        self,
        url: str,
        pool_size: int | None = None,
        *,
        verb: str = "POST",
        timeout: float = TIMEOUT,
        idle_timeout: float = IDLE,
        connect_timeout: float = CONNECT,
        tls: TlsPolicy | None = None,
        unix: str | None = None,
        ehlo_as: str | None = None,
        names: Names | None = None,
        secrets: Secrets | None = None,
        statuses: Mapping[int, str] | None = None,
        spare_configuration: bool = False,
        auth_insecure: bool = False,
        runtime: Runtime | None = None,
    ) -> None:
        """Make a relay; nothing is connected before the first attempt.

        @param url: where messages are posted to. A name and a password in it are sent as Basic
            credentials, and are no part of the request's address.
        @param pool_size: requests at once, each over a connection of its own; C{None} for 20.
        @param verb: in place of POST.
        @param timeout: seconds for a whole request.
        @param idle_timeout: seconds for which an unused connection is kept; less than the
            service's own.
        @param connect_timeout: seconds for connecting.
        @param tls: how the service must prove who it is, by a policy of mode C{verify}; C{None} for
            one of the platform's authorities and the name in the URL.
        @param unix: connect to this socket, whatever host the URL names.
        @param ehlo_as: what we call ourselves; C{None} for the host name of the runtime.
        @param names: of the fields.
        @param secrets: what proves who we are.
        @param statuses: what a status means: L{STATUSES}, or another such table.
        @param spare_configuration: defer mail, and do not fail it, on statuses that tell of a
            fault of configuration (L{CONFIGURATION<slimtwist.relay.http.result.CONFIGURATION>}).
        @param auth_insecure: show a token or a password also where nothing protects it. Without, it
            goes over HTTPS, or does not leave this host.
        @param runtime: clock and network; C{None} for those of the process.
        @raise ValueError: an argument is wrong; the text names it.
        """
        runtime = runtime or default_runtime()
        self._reactor = runtime.reactor
        address, secrets = _taken_apart(url, secrets or Secrets())
        if secrets.authorization() is not None and not (
            auth_insecure or unix or _protected(address)
        ):
            raise ValueError("url: a token or a password wants https://, or auth_insecure=yes")
        if not _VERB.match(verb):
            raise ValueError(f"verb={verb!r} is not of capital letters")
        table = statuses or (SPARED if spare_configuration else STATUSES)
        ehlo = ehlo_name(ehlo_as or runtime.hostname)
        meaning = Meaning(f"{address.host}:{address.port}", table)
        self._service = Service(address, verb, timeout, ehlo, names or Names(), secrets, meaning)
        self._places = DeferredSemaphore(pool_size or AT_ONCE)
        self._pool = _pool(self._reactor, pool_size or AT_ONCE, idle_timeout)
        self._ways = ways = Ways(self._reactor, _verifying(tls), unix, connect_timeout)
        agent = Agent.usingEndpointFactory(self._reactor, ways, pool=self._pool)
        self._client = _client(Fixed(agent, _uri(address)))
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
        return f"<HttpRelay {self._service.host}>"

    async def _attempt(self, envelope: Envelope) -> Report:
        count = len(envelope.recipients)
        try:
            await self._places.acquire()
        except CancelledError:
            waiting = fault_outcome("cancelled", "no request was free", host=self._service.host)
            return Report.uniform(waiting, count)
        try:
            exchange = Exchange(self._reactor, self._client, self._service)
            return Report(await exchange.run(envelope))
        finally:
            self._places.release()

    def _ended(self, result: Any) -> Any:  # noqa: ANN401 - passed through
        self._running -= 1
        self._look_for_end()
        return result

    def _look_for_end(self) -> None:
        if self._stopping and not self._running:
            self._pool.closeCachedConnections()
            self._ways.closed().addCallback(lambda _: self._stopped.release())


def has_secret(url: str) -> bool:
    """Tell whether there is a password in a URL. Raises ValueError if it is none."""
    return bool(_taken_apart(url, Secrets())[1].basic)


def _protected(address: DecodedURL) -> bool:
    """Tell whether only the service can read what is sent."""
    return bool(address.scheme == "https" or _LOCAL.match(address.host))


def _client(agent: Fixed) -> HTTPClient:
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return HTTPClient(agent, cast("Any", no_cookies))


def _pool(reactor: Any, size: int, idle: float) -> Pool:  # noqa: ANN401 - one with many faces
    pool = Pool(reactor)
    pool.maxPersistentPerHost = size
    pool.cachedConnectionTimeout = idle  # type: ignore[assignment]
    return pool


def _verifying(tls: TlsPolicy | None) -> TlsPolicy:
    policy = tls or TlsPolicy(TlsMode.VERIFY)
    if not policy.verified:
        raise ValueError("HTTPS is verified always: the policy's mode must be 'verify'")
    return policy


def _uri(address: DecodedURL) -> bytes:
    """Return the address as it is written in a request."""
    if ":" in address.host:  # hyperlink takes IPv6 for a name of another alphabet
        host = f"[{address.host}]"
        return _uri(address.replace(host="x")).replace(b"//x", f"//{host}".encode(), 1)
    return address.to_uri().to_text().encode("ascii")


def _taken_apart(url: str, secrets: Secrets) -> tuple[DecodedURL, Secrets]:
    """Return the address without its userinfo, and secrets with it."""
    try:
        parsed = DecodedURL.from_text(url)
        user, password = parsed.user, dict(enumerate(parsed.userinfo)).get(1, "")
    except (URLParseError, ValueError) as error:
        raise ValueError(f"url: it is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("url: it is not of the form http://HOST/PATH or https://HOST/PATH")
    if user:
        secrets = replace(secrets, basic=f"{user}:{password}")
    return parsed.replace(userinfo=("",), fragment=""), secrets
