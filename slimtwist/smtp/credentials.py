# -*- test-case-name: tests.smtp.test_credentials -*-
"""Who we are to a server that asks for authentication.

What a mechanism could not carry, or could take for its own syntax, is refused here, so that no
mechanism has to look again.

Sources: RFC 4616 2 (NUL ends a field), RFC 6749 A.12 (access tokens).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Final

from slimtwist.smtp.secret import read_secret

_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_TOKEN: Final = re.compile(r"[!-~]*\Z")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a secret; its C{repr} shows no secret.

    @ivar username: who authenticates.
    @ivar password: his password.
    @ivar token: his OAuth access token, for OAUTHBEARER and XOAUTH2; used before the password.
    @ivar authorize_as: whom to act for, if it is another (RFC 4422 3.4.1); PLAIN and OAUTHBEARER
        can say so.
    @raise ValueError: the user is missing, or both secrets; or a part has characters that it cannot
        have: control characters in names, NUL in the password, anything but visible ASCII in the
        token.
    """

    username: str
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    authorize_as: str = ""

    def __post_init__(self) -> None:
        """Check the parts; the texts quote none of them."""
        if not self.username or not (self.password or self.token):
            raise ValueError("credentials need a username, and a password or a token")
        if _CONTROL.search(self.username) or _CONTROL.search(self.authorize_as):
            raise ValueError("a username has a control character")
        if "\0" in self.password:
            raise ValueError("the password has a NUL")
        if not _TOKEN.match(self.token):
            raise ValueError("the token has other characters than visible ASCII")
        try:
            f"{self.username}{self.password}{self.authorize_as}".encode()
        except UnicodeEncodeError:
            raise ValueError("username or password cannot be written in UTF-8") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Credentials:
        """Return the credentials in a file of one line, C{username:password}, in UTF-8.

        The first colon divides: a password may have more of them.

        @raise ValueError: the file cannot be read, or holds anything else; the text names the file
            and quotes nothing of it.
        """
        try:
            text = read_secret(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{os.fspath(path)}: it is not in UTF-8") from None
        line = text.removesuffix("\n").removesuffix("\r")
        username, colon, password = line.partition(":")
        if not colon or "\n" in line or "\r" in line:
            raise ValueError(f"{os.fspath(path)}: it is not one line, 'username:password'")
        try:
            return cls(username, password)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None
