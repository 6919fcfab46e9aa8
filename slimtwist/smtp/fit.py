# -*- test-case-name: tests.smtp.test_fit -*-
"""Whether a host can take a message at all, and how it is told of it.

Everything here follows from the envelope and from what the host has offered; nothing is sent.

Sources: RFC 1870 6, RFC 6152 3, RFC 6531 3.5, RFC 3461 4, RFC 8689 4.2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from slimtwist.address import Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.reply import Reply

if TYPE_CHECKING:
    from slimtwist.smtp.extensions import Extensions
    from slimtwist.smtp.session import Session

_NO_EIGHT_BIT: Final = Reply.parse(
    "554 5.6.3 the content has 8-bit octets, the host takes 7-bit only"
)
_NO_TLS: Final = Reply.parse("550 5.7.30 the host does not meet REQUIRETLS")
_NO_UTF8: Final = Reply.parse("550 5.6.7 the host does not offer SMTPUTF8")


def fitting(session: Session, content: Content) -> Content:
    """Return the octets to send to a host: these, or converted ones where it takes 7-bit only.

    @raise TypeError: the encoder has returned something else than content.
    """
    encoder = session.options.binary_encoder
    if encoder is None or not content.eight_bit or session.extensions.eight_bit:
        return content
    encoded = encoder(content)
    if not isinstance(encoded, Content):
        raise TypeError(f"binary_encoder returned {type(encoded).__name__}, not Content")
    return encoded


def misfit(session: Session, envelope: Envelope, content: Content) -> Reply | None:
    """Return the refusal of a message that the host cannot take, whoever it is for."""
    extensions, size = session.extensions, _size(content)
    if extensions.size is not None and size > extensions.size:
        text = f"552 5.3.4 message of {size} octets, the host takes {extensions.size}"
        return Reply.parse(text)
    if envelope.requiretls and not (extensions.requiretls and session.verified):
        return _NO_TLS
    if envelope.needs_smtputf8 and not extensions.smtputf8:
        return _NO_UTF8
    seven_bit = session.options.eight_bit == "reject" and not extensions.eight_bit
    return _NO_EIGHT_BIT if seven_bit and content.eight_bit else None


def _size(content: Content) -> int:
    """Return how many octets are sent, with the last line end that may be missing."""
    return content.size if content.terminated or not content.size else content.size + 2


def unreachable(extensions: Extensions, recipient: Recipient) -> Reply | None:
    """Return the refusal of a recipient of whom the host cannot be told."""
    return _NO_UTF8 if recipient.address.needs_smtputf8 and not extensions.smtputf8 else None


def mail_command(
    envelope: Envelope, content: Content, extensions: Extensions, *, smtputf8: bool
) -> bytes:
    """Return the MAIL command.

    @param smtputf8: whether SMTPUTF8 is needed, by the sender, the header or a recipient.
    """
    words = [b"MAIL FROM:<%s>" % envelope.sender.octets]
    if extensions.declares_size:
        words.append(b"SIZE=%d" % _size(content))
    if extensions.eight_bit and content.eight_bit:
        words.append(b"BODY=8BITMIME")
    if smtputf8:
        words.append(b"SMTPUTF8")
    if envelope.requiretls:
        words.append(b"REQUIRETLS")
    if extensions.dsn and envelope.ret is not None:
        words.append(b"RET=" + envelope.ret.encode())
    if extensions.dsn and envelope.envid is not None:
        words.append(b"ENVID=" + envelope.envid.encode())
    return b" ".join(words) + b"\r\n"


def rcpt_command(recipient: Recipient, extensions: Extensions) -> bytes:
    """Return the RCPT command of a recipient."""
    command = b"RCPT TO:<%s>" % recipient.address.octets
    if extensions.dsn and recipient.notify:
        command += b" NOTIFY=" + ",".join(recipient.notify).encode()
    if extensions.dsn and recipient.orcpt is not None:
        command += b" ORCPT=" + recipient.orcpt.encode()
    return command + b"\r\n"
