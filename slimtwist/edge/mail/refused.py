# -*- test-case-name: tests.edge.mail.test_refused -*-
"""A reply as the error that twisted.mail's server knows.

C{twisted.mail.smtp} wants the text of such an error as C{str} where a sender or a recipient is
refused, and as C{bytes} where a message is.
"""

from __future__ import annotations

from typing import Self

from twisted.mail.smtp import SMTPServerError

from slimtwist.reply import Reply


class Refused(SMTPServerError):
    """A command is answered with a negative reply.

    @ivar reply: the reply.
    """

    def __init__(self, reply: Reply, resp: str | bytes) -> None:
        """Raise with a reply, and its text as the server wants it."""
        super().__init__(reply.code, resp)
        self.reply = reply

    @classmethod
    def address(cls, reply: Reply | bytes) -> Self:
        """Return the error that refuses a sender or a recipient."""
        reply = _value(reply)
        return cls(reply, _text(reply).decode("ascii"))

    @classmethod
    def message(cls, reply: Reply | bytes) -> Self:
        """Return the error that refuses a message."""
        reply = _value(reply)
        return cls(reply, _text(reply))


def reply_of(error: BaseException | None) -> Reply | None:
    """Return the reply that an error of twisted.mail's means; C{None} for any other error."""
    if isinstance(error, Refused):
        return error.reply
    if not isinstance(error, SMTPServerError) or not 400 <= error.code <= 599:
        return None
    text = error.resp if isinstance(error.resp, bytes) else str(error.resp).encode()
    lines = text.splitlines() or [b""]
    return Reply.received(b"".join(b"%d %s\r\n" % (error.code, line) for line in lines))


def _value(reply: Reply | bytes) -> Reply:
    return Reply.received(reply) if isinstance(reply, bytes) else reply


def _text(reply: Reply) -> bytes:
    """Return what follows the code in each line, with its enhanced code, in ASCII."""
    lines = reply.encode().removesuffix(b"\r\n").split(b"\r\n")
    return b"\n".join(line[4:] for line in lines)
