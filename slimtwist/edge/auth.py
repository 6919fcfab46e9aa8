# -*- test-case-name: tests.edge.test_auth -*-
"""AUTH: clients prove who they are to twisted.cred.

Who checks them is a portal's business.  Nothing of what a client says here is ever logged.

Sources: RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 2195 (CRAM-MD5); LOGIN has no RFC.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import (
    CramMD5Credentials,
    ICredentials,
    IUsernameHashedPassword,
    IUsernamePassword,
    UsernamePassword,
)
from twisted.cred.error import LoginFailed, UnhandledCredentials
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Attribute, Interface, implementer

from slimtwist.edge.channel import Channel, ClientGone
from slimtwist.edge.replies import (
    AUTH_ABORTED,
    AUTH_FAILED,
    AUTH_TROUBLE,
    AUTHENTICATED,
    BAD_AUTH,
    TOO_MANY_FAILURES,
    UNKNOWN_MECHANISM,
    Refusal,
)
from slimtwist.edge.setting import Setting
from slimtwist.reply import printable

#: After so many wrong credentials a client may try no more.  As many as there are mechanisms:
#: common clients try one password by each of them in turn, and have to learn that it is wrong.
_FAILURES: Final = 3


class IIdentity(Interface):
    """Who a client is: the avatar that an edge asks a realm for."""

    name = Attribute("The name, as text.")


@implementer(IIdentity)
class Identity:
    """A name and nothing else."""

    def __init__(self, name: str) -> None:
        """Keep the name."""
        self.name = name


@implementer(IRealm)
class Names:
    """The realm in which everybody is the name that a checker gave."""

    def requestAvatar(
        self,
        avatarId: bytes | tuple[()],  # noqa: N803 - IRealm names it so
        mind: object,
        *interfaces: type[Interface],
    ) -> tuple[type[Interface], object, Callable[[], None]]:
        """Return an identity, what it provides, and what is called when the client leaves."""
        name = avatarId.decode(errors="replace") if isinstance(avatarId, bytes) else "anonymous"
        return IIdentity, Identity(printable(name)), lambda: None


def portal(checkers: Iterable[ICredentialsChecker]) -> Portal:
    """Return a portal whose checkers say who may relay."""
    return Portal(Names(), checkers)


class Authentication:
    """What a client has proved of itself.

    @ivar identity: its name, or C{None}.
    """

    _log = Logger()

    def __init__(self, setting: Setting, channel: Channel) -> None:
        """Begin with nothing proved."""
        self.identity: str | None = None
        self._setting = setting
        self._channel = channel
        self._failures = 0
        self._logout: Callable[[], object] | None = None

    def forget(self) -> None:
        """Know nobody any more."""
        self.identity = None
        logout, self._logout = self._logout, None
        if logout is not None:
            logout()

    async def prove(self, portal: Portal, argument: bytes) -> bytes:
        """Answer AUTH.

        @param portal: checks the credentials.
        @param argument: the mechanism, and perhaps the first response.
        @raise Refusal: the client has not proved who it is.
        """
        if self._failures >= _FAILURES:
            raise Refusal(TOO_MANY_FAILURES, fatal=True)
        word, _, first = argument.decode("ascii").partition(" ")
        if word.upper() not in mechanisms(portal):
            raise Refusal(UNKNOWN_MECHANISM)
        _, converse = _MECHANISMS[word.upper()]
        try:
            credentials = await converse(self, _decoded(first.encode()) if first else None)
            await self._login(portal, credentials)
        except (LoginFailed, UnhandledCredentials):
            self._failures += 1
            raise Refusal(AUTH_FAILED) from None
        return AUTHENTICATED

    async def ask(self, challenge: bytes) -> bytes:
        """Send a challenge and return the response, both without their base64."""
        self._channel.say(b"334 " + b64encode(challenge) + b"\r\n")
        line = await self._channel.line(self._setting.options.limits.auth_line)
        if line == b"*":
            raise Refusal(AUTH_ABORTED)
        return _decoded(line)

    def stamp(self) -> bytes:
        """Return a text that was never used before (RFC 2195 2)."""
        runtime = self._setting.runtime
        number, second = runtime.random.getrandbits(64), int(runtime.reactor.seconds())
        return f"<{number}.{second}@{runtime.hostname}>".encode("ascii")

    async def _login(self, portal: Portal, credentials: ICredentials) -> None:
        login = cast("Deferred[Any]", portal.login(credentials, None, IIdentity))
        login.addTimeout(self._setting.options.timeouts.auth, self._setting.runtime.reactor)
        try:
            _, identity, self._logout = await self._channel.settled(login)
        except (ClientGone, LoginFailed, UnhandledCredentials):
            raise
        except Exception as error:
            self._log.failure("credentials could not be checked")
            raise Refusal(AUTH_TROUBLE) from error
        self.identity = identity.name


async def _plain(client: Authentication, first: bytes | None) -> ICredentials:
    response = first if first is not None else await client.ask(b"")
    role, *credentials = response.split(b"\0")
    if len(credentials) != 2 or not all(credentials):
        raise Refusal(BAD_AUTH)
    name, password = credentials
    if role not in {b"", name}:
        raise LoginFailed  # to act for somebody else is for nobody
    return UsernamePassword(name, password)


async def _login(client: Authentication, first: bytes | None) -> ICredentials:
    name = first if first is not None else await client.ask(b"Username:")
    return UsernamePassword(name, await client.ask(b"Password:"))


async def _cram_md5(client: Authentication, first: bytes | None) -> ICredentials:
    if first is not None:
        raise Refusal(BAD_AUTH)
    credentials = CramMD5Credentials()
    credentials.challenge = client.stamp()
    try:
        credentials.setResponse(await client.ask(credentials.challenge))
    except ValueError as error:
        raise Refusal(BAD_AUTH) from error
    return credentials


_Mechanism = Callable[[Authentication, bytes | None], Coroutine[Any, Any, ICredentials]]

#: What each mechanism gives to a checker, and its dialogue.
_MECHANISMS: Final[Mapping[str, tuple[object, _Mechanism]]] = {
    "PLAIN": (IUsernamePassword, _plain),
    "LOGIN": (IUsernamePassword, _login),
    "CRAM-MD5": (IUsernameHashedPassword, _cram_md5),
}


def mechanisms(portal: Portal | None) -> tuple[str, ...]:
    """Return the mechanisms that a portal's checkers can deal with."""
    if portal is None:
        return ()
    known = set(portal.listCredentialsInterfaces())
    return tuple(name for name, (wanted, _) in _MECHANISMS.items() if wanted in known)


def _decoded(octets: bytes) -> bytes:
    if octets == b"=":  # RFC 4954 4: a first response that is empty
        return b""
    try:
        return b64decode(octets, validate=True)
    except NotBase64 as error:
        raise Refusal(BAD_AUTH) from error
