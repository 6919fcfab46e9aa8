# -*- test-case-name: tests.edge.test_dialogue -*-
"""What each command of ESMTP and LMTP does, and when it may come.

What belongs to a message is in L{slimtwist.edge.transaction}, AUTH in L{slimtwist.edge.auth}.

Sources: RFC 5321 3 and 4.1 (commands and their order), RFC 2033 4.1 (LHLO), RFC 3207 4 (STARTTLS),
RFC 4954 4 (AUTH).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport

from slimtwist.edge import commands
from slimtwist.edge.auth import Authentication, mechanisms
from slimtwist.edge.channel import Channel
from slimtwist.edge.extensions import hello
from slimtwist.edge.peer import client_ip, tls_facts
from slimtwist.edge.replies import (
    AUTH_IN_CLEAR,
    AUTH_IN_TRANSACTION,
    AUTH_TWICE,
    BYE,
    CANNOT_VERIFY,
    HELLO_FIRST,
    HELP,
    IN_TLS,
    INJECTION,
    MISSING_ARGUMENT,
    NO_ARGUMENT,
    NO_AUTH,
    NOT_IMPLEMENTED,
    OK,
    READY_FOR_TLS,
    UNKNOWN,
    Refusal,
)
from slimtwist.edge.setting import Setting
from slimtwist.edge.trace import protocol
from slimtwist.edge.transaction import Transaction
from slimtwist.envelope import Client

#: A reply, or what leads to one; an empty one was said already.
Answer = bytes | Coroutine[Any, Any, bytes]


class Dialogue:
    """What is known of a client, and the answers to its commands.

    Each method that is named like a command returns the reply, or raises a L{Refusal}.

    @ivar transaction: the message that is under way.
    @ivar over: whether the client wants to leave.
    """

    def __init__(self, setting: Setting, channel: Channel) -> None:
        """Begin with nothing known."""
        self.transaction = Transaction(setting, channel, self._client)
        self.over = False
        self._setting = setting
        self._options = setting.options
        self._channel = channel
        self._authentication = Authentication(setting, channel)
        self._helo: str | None = None
        self._esmtp = False
        self._tls: str | None = None
        self._commands = _LMTP if setting.options.lmtp else _ESMTP
        self._after_chunk = False
        self._facts: dict[bool, Client] = {}  # with and without SMTPUTF8

    def answer(self, verb: bytes, argument: bytes) -> Answer:
        """Answer a command.

        @param verb: in upper case.
        @raise Refusal: the answer is a negative reply.
        """
        command = self._commands.get(verb)
        after_chunk, self._after_chunk = self._after_chunk, verb == b"BDAT"
        if command is None:
            # After a chunk, this was to be the end of it: client and server disagree on its size.
            raise Refusal(UNKNOWN, fatal=after_chunk)
        return command(self, argument)

    def forget(self) -> None:
        """Drop the message that is under way, and know nobody any more."""
        self.transaction.reset()
        self._authentication.forget()

    def _client(self, smtputf8: bool) -> Client:
        if smtputf8 not in self._facts:
            self._facts[smtputf8] = self._look(smtputf8=smtputf8)
        return self._facts[smtputf8]

    def _look(self, *, smtputf8: bool) -> Client:
        identity = self._authentication.identity
        word = protocol(
            lmtp=self._options.lmtp,
            esmtp=self._esmtp,
            tls=self._tls is not None,
            auth=identity is not None,
            smtputf8=smtputf8,
        )
        ip = client_ip(self._channel.transport)
        return Client(ip, None, self._helo, word, self._tls, identity)

    def ehlo(self, argument: bytes) -> bytes:
        """Greet a client that knows extensions; in LMTP the answer to LHLO."""
        self._meet(argument, esmtp=True)
        options = self._options
        keywords = self._setting.offer.keywords(
            starttls=options.certificate is not None and self._tls is None,
            mechanisms=mechanisms(options.portal) if self._may_authenticate else (),
        )
        return hello(self._setting.runtime.hostname, keywords)

    def helo(self, argument: bytes) -> bytes:
        """Greet a client of the old kind."""
        self._meet(argument, esmtp=False)
        return hello(self._setting.runtime.hostname, ())

    def _meet(self, argument: bytes, *, esmtp: bool) -> None:
        name = commands.hello_name(argument)
        self.transaction.reset()
        self._facts.clear()
        self._helo, self._esmtp = name, esmtp
        self._tls = tls_facts(self._channel.transport)

    def mail(self, argument: bytes) -> bytes:
        """Begin a message."""
        self._check_met()
        return self.transaction.mail(argument)

    def rcpt(self, argument: bytes) -> Answer:
        """Add a recipient."""
        return self.transaction.rcpt(argument)

    def data(self, argument: bytes) -> Answer:
        """Take a message that ends with a dot."""
        return self.transaction.data(argument)

    def bdat(self, argument: bytes) -> Answer:
        """Take a chunk of a message."""
        return self.transaction.bdat(argument)

    def rset(self, argument: bytes) -> bytes:
        """Drop the message that is under way."""
        _check_none(argument)
        self.transaction.reset()
        return OK

    def noop(self, _: bytes) -> bytes:
        """Do nothing."""
        return OK

    def vrfy(self, argument: bytes) -> bytes:
        """Verify nothing (RFC 5321 3.5.3)."""
        _check_some(argument)
        return CANNOT_VERIFY

    def help(self, _: bytes) -> bytes:
        """Say where help is."""
        return HELP

    def quit(self, argument: bytes) -> bytes:
        """Take leave."""
        _check_none(argument)
        self.over = True
        return BYE

    def starttls(self, argument: bytes) -> bytes:
        """Go on in TLS, and forget what came before it."""
        _check_none(argument)
        if self._options.certificate is None:
            raise Refusal(NOT_IMPLEMENTED)
        if ISSLTransport.providedBy(self._channel.transport):
            raise Refusal(IN_TLS)
        self._check_met()
        if self._channel.unread:
            # What came in the clear must not be taken for what came in TLS (RFC 3207 4.2).
            raise Refusal(INJECTION, fatal=True)
        self.forget()
        self._helo = None
        self._channel.say(READY_FOR_TLS)
        self._channel.start_tls(self._options.certificate)
        return b""

    def auth(self, argument: bytes) -> Answer:
        """Let the client prove who it is."""
        if self._options.portal is None:
            raise Refusal(NO_AUTH)
        self._check_met()
        if self._authentication.identity is not None:
            raise Refusal(AUTH_TWICE)
        if self.transaction.active:
            raise Refusal(AUTH_IN_TRANSACTION)
        _check_some(argument)
        if not self._may_authenticate:
            raise Refusal(AUTH_IN_CLEAR)
        self._facts.clear()
        return self._authentication.prove(self._options.portal, argument)

    @property
    def _may_authenticate(self) -> bool:
        return self._tls is not None or self._options.auth_in_clear

    def _check_met(self) -> None:
        if self._helo is None:
            raise Refusal(HELLO_FIRST)

    def unimplemented(self, _: bytes) -> bytes:
        """Refuse what is known but not done here."""
        raise Refusal(NOT_IMPLEMENTED)


def _check_none(argument: bytes) -> None:
    if argument:
        raise Refusal(NO_ARGUMENT)


def _check_some(argument: bytes) -> None:
    if not argument:
        raise Refusal(MISSING_ARGUMENT)


_Command = Callable[[Dialogue, bytes], Answer]

_COMMON: Final[Mapping[bytes, _Command]] = {
    b"MAIL": Dialogue.mail,
    b"RCPT": Dialogue.rcpt,
    b"DATA": Dialogue.data,
    b"BDAT": Dialogue.bdat,
    b"RSET": Dialogue.rset,
    b"NOOP": Dialogue.noop,
    b"VRFY": Dialogue.vrfy,
    b"EXPN": Dialogue.unimplemented,
    b"HELP": Dialogue.help,
    b"QUIT": Dialogue.quit,
    b"STARTTLS": Dialogue.starttls,
    b"AUTH": Dialogue.auth,
}
_ESMTP: Final = {**_COMMON, b"EHLO": Dialogue.ehlo, b"HELO": Dialogue.helo}
_LMTP: Final = {**_COMMON, b"LHLO": Dialogue.ehlo}
