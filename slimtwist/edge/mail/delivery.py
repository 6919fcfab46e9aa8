# -*- test-case-name: tests.edge.mail.test_delivery -*-
"""A relay as what a server of twisted.mail hands its messages to.

Sources: RFC 5321 3.3 (transactions), 3.9 (relaying).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Final, Self

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.mail.interfaces import IMessageDelivery, IMessageDeliveryFactory
from twisted.mail.smtp import Address as MailAddress
from twisted.mail.smtp import User
from zope.interface import Interface, implementer

from slimtwist.edge.mail.facts import identity_of
from slimtwist.edge.mail.gathering import LONGEST_LINE
from slimtwist.edge.mail.reception import Check, Place, Reception, sender_of
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.replies import HELLO_FIRST
from slimtwist.edge.setting import Setting
from slimtwist.interfaces import IQueue
from slimtwist.runtime import Runtime

_OPTIONS: Final = EdgeOptions()


@implementer(IMessageDelivery, IMessageDeliveryFactory)
class RelayDelivery:
    """Hands the messages of a server to a queue, and the queue's promises to the server.

    One will do for any number of connections: as the C{delivery} or C{deliveryFactory} of a
    protocol, or as the avatar of a realm.
    """

    def __init__(
        self,
        runtime: Runtime,
        queue: IQueue,
        options: EdgeOptions = _OPTIONS,
        *,
        check: Check | None = None,
        longest_line: int = LONGEST_LINE,
    ) -> None:
        """Begin without a message.

        @param queue: takes the messages; to be stopped after the server.
        @param options: of which C{access}, C{limits} (on messages), C{bare_newline}, C{trace} and
            the wait C{rcpt} mean something here; the rest is the server's.
        @param check: says why a recipient is not taken, or C{None} when he is welcome; in place of
            C{options.access}, by which clients on this host and those that have authenticated may
            send to anywhere, and nobody else.  It may raise C{twisted.mail}'s own errors.
        @param longest_line: octets that a line of a message may have, without its end.
        """
        setting = Setting.of(runtime, queue, options)
        self._reception = Reception(setting, check or options.access.refusal, longest_line)
        self._identity: str | None = None

    def known_as(self, identity: str | None) -> Self:
        """Return the delivery of a client that has authenticated.

        @param identity: its name; C{None} for one that has not.
        """
        known = copy(self)
        known._identity = identity  # noqa: SLF001 - it is one of us
        return known

    def getMessageDelivery(self) -> IMessageDelivery:
        """Return what takes the next message. See C{IMessageDeliveryFactory}."""
        delivery: IMessageDelivery = self
        return delivery

    def validateFrom(self, helo: tuple[bytes | None, bytes], origin: MailAddress) -> MailAddress:
        """Return a sender, if a message from him can go on. See C{IMessageDelivery}.

        @raise Refused: it cannot.
        """
        if not helo or not helo[0]:
            raise Refused.address(HELLO_FIRST)
        sender_of(origin)
        return origin

    def validateTo(self, user: User) -> Deferred[Place]:
        """Return what makes the C{IMessage} for a recipient. See C{IMessageDelivery}.

        @return: fails with L{Refused} if he is not welcome.
        """
        return self._reception.place(user, self._identity)

    def receivedHeader(
        self, helo: tuple[bytes, bytes], origin: MailAddress, recipients: list[User]
    ) -> bytes:
        """Return nothing: the trace field is written when the message is complete."""
        return b""


@implementer(IRealm)
class RelayRealm:
    """The realm in which all clients send through one L{RelayDelivery}, each under its own name."""

    def __init__(self, delivery: RelayDelivery) -> None:
        """Let clients in."""
        self._delivery = delivery

    def requestAvatar(
        self,
        avatarId: bytes | tuple[()],  # noqa: N803 - IRealm names it so
        mind: object,
        *interfaces: type[Interface],
    ) -> tuple[type[Interface], object, Callable[[], None]]:
        """Return the delivery for a client, what it provides, and what is called at its end."""
        return IMessageDelivery, self._delivery.known_as(identity_of(avatarId)), lambda: None
