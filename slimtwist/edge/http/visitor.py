# -*- test-case-name: tests.edge.http.test_identity -*-
"""Who sends a request: its address, its protection, and the identity that it proves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from twisted.cred.error import LoginFailed, UnhandledCredentials
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from slimtwist.edge.auth import IIdentity
from slimtwist.edge.channel import ClientGone
from slimtwist.edge.http.answer import Answer, Refused, refused
from slimtwist.edge.http.header import Head, Order
from slimtwist.edge.http.identity import challenges, credentials
from slimtwist.edge.peer import ServerTransport, client_ip, is_local, tls_facts
from slimtwist.edge.replies import AUTH_FAILED, AUTH_IN_CLEAR, AUTH_TROUBLE
from slimtwist.edge.setting import Setting
from slimtwist.envelope import Client
from slimtwist.reply import Reply

Settled = Callable[[Deferred[Any]], Coroutine[Any, Any, Any]]


class Visitor:
    """Whoever is at the other end."""

    _log = Logger()

    def __init__(self, setting: Setting, transport: ServerTransport, settled: Settled) -> None:
        """Know nobody yet.

        @param settled: waits, as long as the client is there.
        """
        self._setting = setting
        self._transport = transport
        self._settled = settled
        self._logout: Callable[[], object] | None = None

    async def client(self, head: Head, order: Order) -> Client:
        """Return what is known of the client.

        @raise Refused: its credentials are wrong.
        """
        ip, tls = client_ip(self._transport), tls_facts(self._transport)
        authorization = head.one("Authorization")
        portal = self._setting.options.portal
        name = None
        if authorization is not None and portal is not None:
            may = tls or is_local(ip) or self._setting.options.auth_in_clear
            if not may:
                raise refused(AUTH_IN_CLEAR, 403)
            name = await self._login(portal, authorization)
        protocol = "HTTPS" if tls else "HTTP"
        return Client(ip=ip, helo=order.ehlo, protocol=protocol, tls=tls, auth=name)

    def leave(self) -> None:
        """End what a login began."""
        logout, self._logout = self._logout, None
        if logout is not None:
            logout()

    async def _login(self, portal: Portal, authorization: str) -> str:
        try:
            login = cast(
                "Deferred[Any]",
                portal.login(cast("Any", credentials(authorization)), None, IIdentity),
            )
            login.addTimeout(self._setting.options.timeouts.auth, self._setting.runtime.reactor)
            _, identity, self._logout = await self._settled(login)
        except ClientGone:
            raise
        except (LoginFailed, UnhandledCredentials):
            raise unproved(portal, Reply.received(AUTH_FAILED.rstrip())) from None
        except Exception as error:
            self._log.failure("credentials could not be checked")
            raise refused(AUTH_TROUBLE) from error
        name: str = identity.name
        return name


def unproved(portal: Portal, reply: Reply) -> Refused:
    """Return what is raised for a client that has not proved who it is."""
    answer = Answer.of(reply, 401)
    for value in challenges(portal):
        answer = answer.with_header("WWW-Authenticate", value)
    return Refused(answer)
