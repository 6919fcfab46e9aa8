# -*- test-case-name: tests.simulation.test_posting -*-
"""The header of a request that posts a message, read strictly: what is wrong with it is told.

Sources: RFC 9110 5 (fields), RFC 9112 3 (request line), the form of python-slimta's HTTP edge.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable
from typing import Final

HOST: Final = "service.example"
PATH: Final = b"/take/it?all=yes"
TOKEN: Final = "a-token-of-the-relay"
#: Octets above which a client may wait for C{100 Continue}.
LARGE: Final = 1 << 20

_VALUE: Final = rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?"
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ ]?(" + _VALUE + rb")?\Z")
_NUMBER: Final = re.compile(rb"(?:0|[1-9][0-9]{0,12})\Z")
_KEY: Final = re.compile(rb'"[!#-~]{8,200}"\Z')
#: What stands in a request once.
_ONCE: Final = (
    *(b"host", b"content-type", b"content-length", b"idempotency-key", b"x-ehlo"),
    *(b"x-envelope-sender", b"accept", b"authorization"),
)
#: What never stands in one: it would be answered in a way that nobody reads, or tell of others.
_NEVER: Final = (b"accept-encoding", b"cookie", b"transfer-encoding", b"upgrade", b"referer")
_WANTED: Final = {
    b"host": HOST.encode(),
    b"content-type": b"message/rfc822",
    b"x-ehlo": b"relay.example",
    b"authorization": b"Bearer " + TOKEN.encode(),
}


class Header:
    """A header.

    @ivar length: octets of the body.
    @ivar sender: the address of whoever sent the message.
    @ivar recipients: the addresses of those for whom it is.
    @ivar key: of the request.
    @ivar expects: whether C{100 Continue} is waited for.
    """

    def __init__(self, octets: bytes, wrong: Callable[[str], None], *, login: bool) -> None:
        """Read it.

        @param octets: without the empty line.
        @param wrong: is told what is wrong.
        @param login: whether a token is to be shown.
        """
        self._wrong = wrong
        self._fields: dict[bytes, list[bytes]] = {}
        line, *lines = octets.split(b"\r\n")
        if line != b"POST " + PATH + b" HTTP/1.1":
            wrong(f"no request for us: {line[:80]!r}")
        for each in lines:
            found = _FIELD.match(each)
            if found is None:
                wrong(f"no field: {each[:80]!r}")
            else:
                self._fields.setdefault(found[1].lower(), []).append(found[2] or b"")
        self._check(login=login)
        self.length = self._length()
        self.sender = self._address(self.one(b"x-envelope-sender"))
        named = self._fields.get(b"x-envelope-recipient", [])
        self.recipients = tuple(map(self._address, named))
        self.key = self.one(b"idempotency-key")
        self.expects = self._expects()
        if not named:
            wrong("there is nobody to deliver to")

    def one(self, name: bytes) -> bytes:
        """Return the value of a field; nothing if it is not there."""
        return self._fields.get(name, [b""])[0]

    def _check(self, *, login: bool) -> None:
        fields, wrong = self._fields, self._wrong
        for name in _ONCE:
            wanted = name != b"authorization" or login
            if len(fields.get(name, [])) != wanted:
                wrong(f"{name!r} occurs {len(fields.get(name, []))} times")
        for name in _NEVER:
            if name in fields:
                wrong(f"there is {name!r}")
        for name, value in _WANTED.items():
            if fields.get(name, [value])[0] != value:
                wrong(f"{name!r} is {fields[name]!r}")
        if not _KEY.match(self.one(b"idempotency-key")):
            wrong(f"no key: {self.one(b'idempotency-key')!r}")

    def _length(self) -> int:
        length = self.one(b"content-length")
        if _NUMBER.match(length):
            return int(length)
        self._wrong(f"no length: {length!r}")
        return 0

    def _expects(self) -> bool:
        expects = self.one(b"expect")
        if expects and (expects != b"100-continue" or self.length <= LARGE):
            self._wrong(f"Expect: {expects!r} for {self.length} octets")
        return bool(expects)

    def _address(self, value: bytes) -> str:
        try:
            return b64decode(value, validate=True).decode()
        except (Error, UnicodeDecodeError):
            self._wrong(f"no address: {value[:60]!r}")
            return ""
