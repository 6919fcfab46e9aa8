# -*- test-case-name: tests.edge.mail.test_reception -*-
"""Who may send a message through a server of twisted.mail, and the transactions that come of it.

The server tells nobody of the beginning of a transaction.  But it makes an C{Address} of the sender
with each MAIL command, and names this very object with each recipient; so a transaction is known by
it, and forgotten with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.mail.smtp import Address as MailAddress
from twisted.mail.smtp import User

from slimtwist.address import Address, Recipient
from slimtwist.edge.mail.asking import Asking
from slimtwist.edge.mail.facts import client_of, service_identity
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.mail.transaction import RelayMessage, Transaction
from slimtwist.edge.replies import (
    BAD_RECIPIENT,
    BAD_SENDER,
    HELLO_FIRST,
    NEEDS_SMTPUTF8,
    ONE_RECIPIENT,
    RELAY_DENIED,
    TOO_MANY_RECIPIENTS,
)
from slimtwist.edge.setting import Setting
from slimtwist.envelope import Client
from slimtwist.reply import Reply

#: Says why a recipient is not taken, or C{None} if he is welcome.
Check = Callable[[Client, Address, Recipient], Reply | Deferred[Reply | None] | None]


class Place:
    """What the server gets for a recipient who is welcome; called, it makes the C{IMessage}.

    @ivar alone: whether no other recipient may be in the same transaction.
    """

    def __init__(self, transaction: Transaction, recipient: Recipient, *, alone: bool) -> None:
        """Keep a place in a transaction for a recipient."""
        self.alone = alone
        self._transaction = transaction
        self._recipient = recipient

    def __call__(self) -> RelayMessage:
        """Return what takes the message."""
        message = RelayMessage(self._transaction, self._recipient)
        message.join()
        return message


class Reception:
    """Judges recipients, and puts those of one message together."""

    def __init__(self, setting: Setting, check: Check, longest_line: int) -> None:
        """Begin without a transaction."""
        self._setting = setting
        self._check = check
        self._longest = longest_line
        self._transactions: WeakKeyDictionary[MailAddress, Transaction] = WeakKeyDictionary()

    def place(self, user: User, identity: str | None) -> Deferred[Place]:
        """Return a place for a recipient.

        @param identity: who the client has proved to be.
        @return: fails with L{Refused} if he is not welcome, or not now; and as the check fails.
        """
        return Deferred.fromCoroutine(self._place(user, identity))

    async def _place(self, user: User, identity: str | None) -> Place:
        recipient = recipient_of(user)
        transaction = self._transaction(user, identity)
        self._check_room(transaction)
        refusal = self._check(transaction.client, transaction.sender, recipient)
        if isinstance(refusal, Deferred):
            wait = self._setting.options.timeouts.rcpt
            refusal = await refusal.addTimeout(wait, self._setting.runtime.reactor)
        if refusal is not None:
            raise Refused.address(refusal)
        self._check_room(transaction)  # others may have come in while this one was judged
        transaction.accepted += 1
        return Place(transaction, recipient, alone=self._setting.offer.one_recipient)

    def forward(self, recipient: Recipient, word: Asking) -> Callable[[], RelayMessage]:
        """Return what makes the message for whom an alias stands.

        He is not judged: an operator named him.  Aliases are followed before it is certain that the
        message comes, so nobody waits for him yet.

        @param word: about whom the server is asking.
        @raise Refused: not in this transaction.
        """
        identity = service_identity(word.user)
        transaction = self._transaction(word.user, identity)
        self._check_room(transaction)
        transaction.accepted += 1
        word.alone = self._setting.offer.one_recipient
        return partial(RelayMessage, transaction, recipient)

    def _transaction(self, user: User, identity: str | None) -> Transaction:
        transaction = self._transactions.get(user.orig)
        if transaction is None or transaction.over:
            if not (user.helo and user.helo[0]):
                raise Refused.address(HELLO_FIRST)
            client = client_of(user, identity)
            if client is None:
                raise Refused.address(RELAY_DENIED)
            sender = sender_of(user.orig)
            transaction = Transaction(self._setting, client, sender, self._longest)
            self._transactions[user.orig] = transaction
        return transaction

    def _check_room(self, transaction: Transaction) -> None:
        if transaction.accepted >= self._setting.recipients:
            one = self._setting.offer.one_recipient
            raise Refused.address(ONE_RECIPIENT if one else TOO_MANY_RECIPIENTS)


def sender_of(origin: MailAddress) -> Address:
    """Return a reverse-path that may go on.

    @raise Refused: it is none.
    """
    return _address(origin, BAD_SENDER)


def recipient_of(user: User) -> Recipient:
    """Return a recipient to whom mail may go on.

    @raise Refused: his address is none.
    """
    try:
        return Recipient(_address(user.dest, BAD_RECIPIENT))
    except ValueError as error:
        raise Refused.address(BAD_RECIPIENT) from error


def _address(given: MailAddress, bad: bytes) -> Address:
    try:
        address = Address(bytes(given))
    except ValueError as error:
        raise Refused.address(bad) from error
    if address.needs_smtputf8:
        raise Refused.address(NEEDS_SMTPUTF8)
    return address
