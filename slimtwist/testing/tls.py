# -*- test-case-name: tests.testing.test_tls -*-
"""TLS without secrets: the records and flights of TLS, and no cryptography.

Twisted's own TLS protocol (C{twisted.protocols.tls}) does the work, as in production; only the
OpenSSL connection that it drives is replaced by an L{OpaqueTLS}. Octets travel in records of RFC
8446 5.1 and are not encrypted, so every run of a test is the same octet for octet, and a handshake
goes as the test has said (L{Handshake}). What is plaintext to one side and TLS to the other
fails as it does with OpenSSL: the first octet is not that of a record.

Certificates and names are not looked at: whether these are verified has to be tested with real TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

_ALERT, _HANDSHAKE, _DATA = 21, 22, 23
_VERSION: Final = b"\x03\x03"
_LARGEST: Final = 2**14
_CLOSE_NOTIFY: Final = b"\x01\x00"
_FAILURE: Final = b"\x02\x28"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What becomes of a TLS handshake.

    @ivar refused_by: the side that ends it; C{None}: it succeeds.
    @ivar reason: the text of the error which that side gets.
    @ivar hangs: the server never answers.
    """

    refused_by: Literal["client", "server"] | None = None
    reason: str = "certificate verify failed"
    hangs: bool = False


class OpaqueTLS:
    """One side's TLS connection, with the methods of C{OpenSSL.SSL.Connection} that Twisted calls.

    @param handshake: what becomes of it.
    """

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._client = False
        self._app_data: object = None
        self._in = bytearray()
        self._out = bytearray()
        self._plain = bytearray()
        self._flights = 0
        self._done = False
        self._eof = False
        self._closed_here = False
        self._closed_there = False

    def set_connect_state(self) -> None:
        """Be the client."""
        self._client = True

    def set_accept_state(self) -> None:
        """Be the server."""
        self._client = False

    def set_app_data(self, data: object) -> None:
        """Keep what Twisted attaches to a connection."""
        self._app_data = data

    def get_app_data(self) -> object:
        """Return what Twisted attached."""
        return self._app_data

    def do_handshake(self) -> None:
        """Get on with the handshake.

        @raise SSL.WantReadError: it waits for the other side.
        @raise SSL.Error: it failed.
        """
        if self._client and self._flights == 0:
            self._put(_HANDSHAKE, b"client hello")
            self._flights = 1
        while not self._done:
            record = self._record()
            if record is None:
                raise SSL.WantReadError
            self._flight(*record)

    def _flight(self, kind: int, content: bytes) -> None:
        """Answer one record of the handshake."""
        if kind == _ALERT:
            raise _error("ssl/tls alert handshake failure")
        if kind != _HANDSHAKE:
            raise _error("unexpected message")
        if self._handshake.hangs and not self._client:
            return
        if self._handshake.refused_by == ("client" if self._client else "server"):
            self._put(_ALERT, _FAILURE)
            raise _error(self._handshake.reason)
        self._answer(content)

    def _answer(self, content: bytes) -> None:
        """Send the next flight, or be done (RFC 8446 2, figure 1)."""
        expected, answer = (
            (b"server hello", b"client done")
            if self._client
            else {0: (b"client hello", b"server hello")}.get(self._flights, (b"client done", b""))
        )
        if content != expected:
            raise _error("unexpected message")
        self._flights += 1
        self._done = self._client or not answer
        if answer:
            self._put(_HANDSHAKE, answer)

    # The octets on the wire.

    def bio_write(self, octets: bytes) -> int:
        """Take octets from the wire."""
        self._in += octets
        return len(octets)

    def bio_read(self, size: int) -> bytes:
        """Return octets for the wire.

        @raise SSL.WantReadError: there are none.
        """
        if not self._out:
            raise SSL.WantReadError
        octets = bytes(self._out[:size])
        del self._out[:size]
        return octets

    def bio_shutdown(self) -> None:
        """Note that the wire has ended."""
        self._eof = True

    # What it carries.

    def send(self, octets: bytes) -> int:
        """Send octets of the application.

        @raise SSL.WantReadError: the handshake is not over.
        """
        if not self._done:
            raise SSL.WantReadError
        if self._closed_here:
            raise _error("protocol is shutdown")
        for start in range(0, len(octets), _LARGEST):
            self._put(_DATA, octets[start : start + _LARGEST])
        return len(octets)

    def recv(self, size: int) -> bytes:
        """Return octets of the application.

        @raise SSL.WantReadError: there are none yet.
        @raise SSL.ZeroReturnError: the other side said that there will be none.
        @raise SSL.SysCallError: the wire ended without that.
        @raise SSL.Error: what came is no TLS.
        """
        while not self._plain and not self._closed_there:
            record = self._record()
            if record is None:
                raise SSL.SysCallError(-1, "Unexpected EOF") if self._eof else SSL.WantReadError
            self._content(*record)
        if not self._plain:
            raise SSL.ZeroReturnError
        octets = bytes(self._plain[:size])
        del self._plain[:size]
        return octets

    def _content(self, kind: int, content: bytes) -> None:
        if kind == _DATA:
            self._plain += content
        elif content == _CLOSE_NOTIFY:
            self._closed_there = True
        elif kind == _ALERT:
            raise _error("ssl/tls alert handshake failure")

    def shutdown(self) -> bool:
        """Say that no more will be sent; tell whether the other side has said so too.

        @raise SSL.Error: the handshake is not over.
        """
        if not self._done:
            raise _error("shutdown while in init")
        if not self._closed_here:
            self._closed_here = True
            self._put(_ALERT, _CLOSE_NOTIFY)
        return self._closed_there

    # What is told about it.

    def get_peer_certificate(self) -> None:
        """Return C{None}: nobody shows a certificate here."""

    def get_alpn_proto_negotiated(self) -> bytes:
        """Return nothing: no protocol is negotiated."""
        return b""

    def get_protocol_version_name(self) -> str:
        """Return the version that the records imitate."""
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        """Return a name that no cipher has."""
        return "OPAQUE"

    def get_cipher_bits(self) -> int:
        """Return how strong it is."""
        return 0

    # Records.

    def _put(self, kind: int, content: bytes) -> None:
        self._out += bytes([kind]) + _VERSION + len(content).to_bytes(2, "big") + content

    def _record(self) -> tuple[int, bytes] | None:
        """Take the next record out, if it is complete."""
        start = bytes(self._in[:3])
        if start and (
            start[0] not in {_ALERT, _HANDSHAKE, _DATA} or start[1:] != _VERSION[: len(start) - 1]
        ):
            self._put(_ALERT, _FAILURE)
            raise _error("wrong version number")
        size = 5 + int.from_bytes(self._in[3:5], "big")
        if len(self._in) < max(5, size):
            return None
        content = bytes(self._in[5:size])
        del self._in[:size]
        return start[0], content


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class OpaqueContext:
    """Makes an L{OpaqueTLS} where Twisted asks for an OpenSSL connection.

    @param handshake: what becomes of it.
    """

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Return the client's side."""
        return cast("SSL.Connection", OpaqueTLS(self._handshake))

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Return the server's side."""
        return cast("SSL.Connection", OpaqueTLS(self._handshake))


def _error(reason: str) -> SSL.Error:
    return SSL.Error([("SSL routines", "", reason)])
