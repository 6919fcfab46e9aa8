# -*- test-case-name: tests.test_sending -*-
"""For applications that only send: from an C{email} message to what became of each recipient.

There is no queue behind L{send}: it makes one attempt, and whoever wants another one makes it.

Sources: RFC 5322 3.6.2, 3.6.3 and 3.6.6 (originator, destination and resent fields), RFC 6532
(UTF-8 in a header), RFC 2045 2.9 (binary data), RFC 5321 2.3.8.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterable, Iterator
from email.errors import InvalidHeaderDefect
from email.generator import BytesGenerator
from email.headerregistry import Address as Mailbox
from email.message import Message
from email.policy import SMTP, Compat32
from typing import Any

from twisted.internet.defer import Deferred

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report
from slimtwist.runtime import Runtime, default_reactor
from slimtwist.settle import settle

_DESTINATIONS = ("To", "Cc", "Bcc")


def send(
    relay: IRelay,
    sender: str | None,
    recipients: Iterable[str] | None,
    message: Message[Any, Any] | Content | bytes,
    *,
    seconds: float | None = None,
    runtime: Runtime | None = None,
) -> Deferred[Report]:
    """Make one attempt to deliver a message. See L{make_envelope} for what is sent.

    @param relay: whose way the message goes.
    @param sender: the reverse-path, the empty text for the null sender; C{None} for the header's.
    @param recipients: addresses; C{None} for the header's.
    @param message: what is sent.
    @param seconds: after which the attempt is given up; by default half an hour and a minute more
        for each recipient, since the relay has waits of its own.
    @param runtime: the clock and the waits; C{None} for those of the process.
    @return: fires with an outcome for each recipient, in their order, whatever the relay does: also
        when one holds for all, or the relay fails.  Fails with ValueError when the message or an
        address cannot be sent, and nothing was.  Cancelling it gives up the attempt; it then fires
        with what is known.
    """
    clock = runtime or Runtime(default_reactor())
    return Deferred.fromCoroutine(_send(clock, relay, (sender, recipients, message), seconds))


async def _send(
    runtime: Runtime,
    relay: IRelay,
    what: tuple[str | None, Iterable[str] | None, Message[Any, Any] | Content | bytes],
    seconds: float | None,
) -> Report:
    envelope = make_envelope(*what)
    if seconds is None:
        waits = runtime.timeouts
        seconds = waits.attempt + waits.attempt_recipient * len(envelope.recipients)
    return await settle(runtime.reactor, relay, envelope, 0, seconds)


def make_envelope(
    sender: str | None,
    recipients: Iterable[str] | None,
    message: Message[Any, Any] | Content | bytes,
) -> Envelope:
    """Return what L{send} gives to a relay.

    A message object is written with CRLF, and without its C{Bcc} fields, whoever the recipients
    are.  Its header is ASCII, with encoded words, unless an address in it is not.  The object stays
    as it is.  Octets and contents are sent as they are.

    @param sender: the reverse-path, the empty text for the null sender.  C{None} for the header's:
        the address of C{Sender}, else the only one of C{From}.
    @param recipients: addresses.  C{None} for all in C{To}, C{Cc} and C{Bcc}, each once.  In a
        message that was resent once, the C{Resent-} fields count instead.
    @param message: octets must have CRLF line ends, as L{Content.of} wants them.
    @raise ValueError: an address or the message cannot be sent, or what is left out cannot be taken
        from the header; the text names the part at fault.
    """
    if isinstance(recipients, str):
        raise ValueError("recipients are a list of texts, not one text")  # noqa: TRY004
    if not isinstance(message, Message) and (sender is None or recipients is None):
        raise ValueError("sender and recipients are taken from the header of a message object only")
    if sender is None:
        sender = _header_sender(message)  # type: ignore[arg-type]
    if recipients is None:
        recipients = _header_recipients(message)  # type: ignore[arg-type]
    reverse_path, forward = Address.parse(sender), tuple(map(Recipient.parse, recipients))
    content = _content(message)
    return Envelope(
        reverse_path,
        forward,
        content,
        body="8BITMIME" if content.eight_bit else None,
        smtputf8=content.eight_bit_header,
    )


def _header_sender(message: Message[Any, Any]) -> str:
    prefix = _prefix(message)
    name = f"{prefix}Sender"
    if name not in message:
        name = f"{prefix}From"
    found = list(_addresses(message, name))
    if len(found) != 1:
        raise ValueError(f"{name} has {len(found)} addresses, and a message has one sender")
    return found[0]


def _header_recipients(message: Message[Any, Any]) -> list[str]:
    prefix = _prefix(message)
    found = [each for name in _DESTINATIONS for each in _addresses(message, prefix + name)]
    return list(dict.fromkeys(found))


def _prefix(message: Message[Any, Any]) -> str:
    """Return what the names of the fields begin with that say where a message goes."""
    resent = len(message.get_all("Resent-Date", []))
    if resent > 1:
        raise ValueError("the message was resent more than once: name sender and recipients")
    return "Resent-" if resent else ""


def _addresses(message: Message[Any, Any], name: str) -> Iterator[str]:
    """Yield the addresses of a field.

    Raises ValueError for what is no list of addresses: of those behind a mistake none is found, and
    nobody is to be left out in silence.
    """
    for value in message.get_all(name, []):
        # A message with the older policy has mere texts for values.
        parsed = hasattr(value, "addresses")
        field: Any = value if parsed else SMTP.header_factory(name, str(value))
        if any(isinstance(defect, InvalidHeaderDefect) for defect in field.defects):
            raise ValueError(f"{name} is not a list of addresses: {str(field)[:80]!a}")
        yield from (mailbox.addr_spec for mailbox in field.addresses)


def _content(message: Message[Any, Any] | Content | bytes) -> Content:
    if isinstance(message, Content):
        return message
    if not isinstance(message, Message | bytes):
        kind = type(message).__name__
        raise ValueError(f"the message is a {kind}; write an EmailMessage, bytes or a Content")  # noqa: TRY004
    return Content.of(_written(message) if isinstance(message, Message) else message)


def _written(message: Message[Any, Any]) -> bytes:
    """Return a message's octets."""
    own = copy.copy(message)  # fields are taken out of the copy only
    del own["Bcc"], own["Resent-Bcc"]
    _check_encodings(own)
    octets = io.BytesIO()
    try:
        BytesGenerator(octets, mangle_from_=False, policy=_policy(own)).flatten(own)
    except Exception as error:  # a message may hold anything, and email has no error of its own
        raise ValueError(f"the message cannot be written: {error}") from error
    return octets.getvalue()


def _check_encodings(message: Message[Any, Any]) -> None:
    """Refuse what the writing would change: the line ends of binary data become CRLF."""
    for part in message.walk():
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "binary":
            raise ValueError("a part of the message is binary; encode it as base64")


def _policy(message: Message[Any, Any]) -> Any:  # noqa: ANN401 - of one of two unrelated types
    """Return how the message is written: only an address is a reason for UTF-8 in its header."""
    policy: Any = message.policy
    if isinstance(policy, Compat32):
        return policy.clone(linesep="\r\n")
    return policy.clone(linesep="\r\n", utf8=any(map(_needs_utf8, message.walk())))


def _needs_utf8(part: Message[Any, Any]) -> bool:
    mailboxes: Iterator[Mailbox] = (
        mailbox for value in part.values() for mailbox in getattr(value, "addresses", ())
    )
    return not all(mailbox.addr_spec.isascii() for mailbox in mailboxes)
