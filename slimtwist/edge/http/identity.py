# -*- test-case-name: tests.edge.http.test_identity -*-
"""Who an HTTP client is: Basic and Bearer credentials, for C{twisted.cred}.

Nothing of what a client says here is ever logged.

Sources: RFC 7617 (Basic), RFC 6750 (Bearer).
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Final

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import Attribute, Interface, implementer

from slimtwist.smtp.secret import read_file, read_secret

_LINE: Final = re.compile(r"([!-9;-~]+):([!-~]{16,4096})\Z")


class IBearerToken(Interface):
    """A token that says who its bearer is."""

    token = Attribute("The token, as octets.")


@implementer(IBearerToken)
class BearerToken:
    """A token."""

    def __init__(self, token: bytes) -> None:
        """Keep the token."""
        self.token = token


class Password(UsernamePassword):
    """A name and a password, compared in constant time."""

    def checkPassword(self, password: bytes | str) -> bool:
        """Tell whether the password is this one."""
        wanted = password.encode() if isinstance(password, str) else password
        return hmac.compare_digest(self.password, wanted)


@implementer(ICredentialsChecker)
class TokenFile:
    """Knows the tokens of a file with a line C{name:token} for each; it is read at each login.

    Empty lines, and those that begin with C{#}, say nothing.
    """

    credentialInterfaces = (IBearerToken,)

    def __init__(self, path: str) -> None:
        """Read it once.

        @raise ValueError: it cannot be read, or is malformed; the text quotes nothing of it.
        """
        self._path = path
        self._tokens(read_secret(path))

    def requestAvatarId(self, credentials: BearerToken) -> Deferred[bytes | tuple[()]]:
        """Return the name that goes with a token, or fail with UnauthorizedLogin."""
        try:
            tokens = self._tokens(read_file(self._path))
        except ValueError as error:
            return fail(error)
        # All are looked at, so that the time tells nothing.
        found = [n for n, each in tokens.items() if hmac.compare_digest(each, credentials.token)]
        return succeed(found[0]) if found else fail(UnauthorizedLogin())

    def _tokens(self, octets: bytes) -> Mapping[bytes, bytes]:
        tokens: dict[bytes, bytes] = {}
        for number, line in enumerate(octets.decode("ascii", "replace").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.match(line)
            if match is None:
                wanted = "'name:token', the token of at least 16 visible ASCII characters"
                raise ValueError(f"{self._path}: line {number} is not {wanted}")
            tokens[match[1].encode()] = match[2].encode()
        if not tokens:
            raise ValueError(f"{self._path}: it holds no token")
        return tokens


def credentials(authorization: str) -> BearerToken | Password:
    """Return what an Authorization field gives to a checker.

    @raise UnauthorizedLogin: it is malformed, or of another scheme.
    """
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return BearerToken(value.encode())
    if scheme.lower() != "basic":
        raise UnauthorizedLogin
    try:
        name, colon, password = b64decode(value.encode(), validate=True).partition(b":")
    except NotBase64:
        raise UnauthorizedLogin from None
    if not colon:
        raise UnauthorizedLogin
    return Password(name, password)


def challenges(portal: Portal) -> list[str]:
    """Return the values of WWW-Authenticate: what a portal's checkers can deal with."""
    known = set(portal.listCredentialsInterfaces())
    schemes = (
        (IBearerToken, 'Bearer realm="mail"'),
        (IUsernamePassword, 'Basic realm="mail", charset="UTF-8"'),
    )
    return [value for wanted, value in schemes if wanted in known]
