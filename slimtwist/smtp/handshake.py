# -*- test-case-name: tests.smtp.test_handshake -*-
"""What became of a TLS handshake, as one short line: for replies, outcomes and logs."""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.python.failure import Failure

from slimtwist.reply import printable

#: An explanation is a part of a reply line.
_LENGTH: Final = 300
#: OpenSSL's words for what needs some.
_PLAINER: Final = {
    "wrong version number": "the peer does not speak TLS",
    "http request": "the peer does not speak TLS",
    "packet length too long": "the peer does not speak TLS",
    "unsupported protocol": "the peer speaks only outdated versions of TLS",
    "unexpected eof while reading": "the peer closed the connection without ending TLS",
}


def describe(transport: object) -> str:
    """Return how a connection is protected, in one line.

    @param transport: of a protocol, after the handshake.
    @return: C{"TLSv1.3 TLS_AES_256_GCM_SHA384 verified"}; C{untrusted} where the peer did not have
        to prove who he is; empty for a connection without TLS.
    """
    get_handle: Any = getattr(transport, "getHandle", None)
    handle: Any = get_handle() if get_handle is not None else None
    if not hasattr(handle, "get_verify_mode"):
        return ""  # a socket
    trust = "verified" if handle.get_verify_mode() & SSL.VERIFY_PEER else "untrusted"
    return f"{handle.get_protocol_version_name()} {handle.get_cipher_name()} {trust}"


def explain(failure: Failure) -> str:
    """Return why a handshake failed, or a protected connection ended, in one printable line.

    @param failure: what C{connectionLost} was given.
    """
    return printable(_reason(failure.value))[:_LENGTH]


def _reason(problem: BaseException | None) -> str:
    if isinstance(problem, SSL.SysCallError):
        return f"connection lost: {problem.args[-1]}"
    if isinstance(problem, SSL.Error):
        return _openssl(problem)
    if isinstance(problem, error.ConnectionAborted):
        return "connection aborted"
    if isinstance(problem, error.ConnectionLost | error.ConnectionDone):
        return "the peer closed the connection"
    if isinstance(problem, VerificationError):
        return "certificate is for another name"  # by a context of Twisted's own
    return str(problem) or type(problem).__name__


def _openssl(problem: SSL.Error) -> str:
    reasons = [entry[-1] for entry in (problem.args[0] if problem.args else ()) if entry[-1]]
    if not reasons:
        return "the peer closed the connection"
    return "; ".join(dict.fromkeys(_plainer(reason) for reason in reasons))


def _plainer(reason: str) -> str:
    _, alert, name = reason.partition(" alert ")
    return f"the peer refused: {name}" if alert else _PLAINER.get(reason, reason)
