# -*- test-case-name: tests.edge.test_replies -*-
"""The edge's own replies, as they go over the wire.

Sources: RFC 5321 4.2 and 4.3.2 (codes), RFC 3463 and RFC 5248 (enhanced codes), RFC 2033, RFC 3030,
RFC 3207, RFC 4954, RFC 6531 for those of their extensions.
"""

from __future__ import annotations

import errno
from typing import Final

from slimtwist.reply import Reply


class Refusal(Exception):
    """A command is answered with a negative reply.

    @ivar reply: the octets of the reply.
    @ivar fatal: whether the connection ends with it.
    """

    def __init__(self, reply: bytes, *, fatal: bool = False) -> None:
        """Raise with the reply that the client gets."""
        super().__init__(reply)
        self.reply = reply
        self.fatal = fatal


def wire(text: str) -> bytes:
    """Return the octets of a reply written as C{"550 5.1.1 text"}."""
    return Reply.parse(text).encode()


OK: Final = wire("250 2.0.0 OK")
BYE: Final = wire("221 2.0.0 goodbye")
HELP: Final = wire("214 2.0.0 see RFC 5321")
CANNOT_VERIFY: Final = wire("252 2.5.0 cannot verify, will take the message and try")
SENDER_OK: Final = wire("250 2.1.0 sender OK")
RECIPIENT_OK: Final = wire("250 2.1.5 recipient OK")
START_INPUT: Final = wire("354 end with a line that holds a dot only")
CHUNK_OK: Final = wire("250 2.0.0 chunk taken")
READY_FOR_TLS: Final = wire("220 2.0.0 ready to start TLS")
AUTHENTICATED: Final = wire("235 2.7.0 authenticated")

SYNTAX: Final = wire("501 5.5.4 syntax error in arguments")
NO_ARGUMENT: Final = wire("501 5.5.4 no argument allowed")
MISSING_ARGUMENT: Final = wire("501 5.5.4 argument missing")
BAD_OCTETS: Final = wire("501 5.5.2 octets that no command may hold")
UNKNOWN: Final = wire("500 5.5.2 command not recognized")
NOT_IMPLEMENTED: Final = wire("502 5.5.1 command not implemented")
SEQUENCE: Final = wire("503 5.5.1 bad sequence of commands")
HELLO_FIRST: Final = wire("503 5.5.1 say hello first")
NO_SENDER: Final = wire("503 5.5.1 need MAIL first")
NO_RECIPIENT: Final = wire("503 5.5.1 no valid recipient")
NESTED_MAIL: Final = wire("503 5.5.1 a sender was given before")
MIXED_DATA: Final = wire("503 5.5.1 the message has begun with BDAT")
UNKNOWN_PARAMETER: Final = wire("555 5.5.4 parameter not recognized")
BAD_SENDER: Final = wire("501 5.1.7 bad sender address syntax")
BAD_RECIPIENT: Final = wire("501 5.1.3 bad recipient address syntax")
NEEDS_SMTPUTF8: Final = wire("553 5.6.7 a non-ASCII address needs SMTPUTF8")
LINE_TOO_LONG: Final = wire("500 5.5.6 line too long")
BARE_COMMAND: Final = wire("500 5.5.2 a line ends with CR and LF together")
BARE_NEWLINE: Final = wire("521 5.5.2 CR or LF alone in the message")
BAD_CHUNK: Final = wire("501 5.5.4 BDAT wants a size, and LAST or nothing")

ONE_RECIPIENT: Final = wire("452 4.5.3 one recipient at a time; send again for the others")
TOO_MANY_RECIPIENTS: Final = wire("452 4.5.3 too many recipients")
TOO_LARGE: Final = wire("552 5.3.4 message too large")
LOOP: Final = wire("554 5.4.6 routing loop: too many hops")
NO_ROOM: Final = wire("452 4.3.1 no room for the message")
INTERNAL: Final = wire("451 4.3.0 internal error")

RELAY_DENIED: Final = Reply.parse("550 5.7.1 relaying denied")

TOO_MANY_ERRORS: Final = wire("421 4.7.0 too many errors")
TOO_MUCH_JUNK: Final = wire("421 4.7.0 too many commands without a message")
TOO_MANY_CLIENTS: Final = wire("421 4.7.0 too many connections, try later")
TIMED_OUT: Final = wire("421 4.4.2 timed out")
STOPPING: Final = wire("421 4.3.2 service is stopping")
BROKEN: Final = wire("421 4.3.0 internal error")
NOT_SMTP: Final = wire("421 4.7.0 this is a mail service")
EARLY_TALKER: Final = wire("554 5.7.0 wait for the greeting")

NO_AUTH: Final = wire("503 5.5.1 AUTH is not available")
AUTH_TWICE: Final = wire("503 5.5.1 authenticated before")
AUTH_IN_TRANSACTION: Final = wire("503 5.5.1 not while a message is under way")
AUTH_IN_CLEAR: Final = wire("538 5.7.11 start TLS first")
UNKNOWN_MECHANISM: Final = wire("504 5.5.4 mechanism not recognized")
BAD_AUTH: Final = wire("501 5.5.2 malformed response")
AUTH_ABORTED: Final = wire("501 5.7.0 authentication aborted")
AUTH_FAILED: Final = wire("535 5.7.8 authentication failed")
AUTH_TROUBLE: Final = wire("454 4.7.0 cannot authenticate now")
TOO_MANY_FAILURES: Final = wire("421 4.7.0 too many failed authentications")

INJECTION: Final = wire("503 5.5.1 nothing may follow STARTTLS")
IN_TLS: Final = wire("503 5.5.1 TLS has been started")

_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})


def storage_trouble(error: OSError) -> bytes:
    """Return what a client is told when its message cannot be stored."""
    return NO_ROOM if error.errno in _SPACE else INTERNAL
