# -*- test-case-name: tests.edge.test_session -*-
"""The dialogue with a client of ESMTP or LMTP.

One command is read and answered, and only then is the next one looked at; so replies are in order
however long an answer takes.  What a message needs is in L{slimtwist.edge.transaction}.

Sources: RFC 5321 3 and 4.1.4 (order of commands), RFC 2033 (LMTP), RFC 3207 (STARTTLS), RFC 2920.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import deferLater
from twisted.logger import Logger

from slimtwist.edge import commands
from slimtwist.edge.channel import Channel
from slimtwist.edge.extensions import hello
from slimtwist.edge.peer import client_ip, tls_facts
from slimtwist.edge.replies import (
    BAD_OCTETS,
    BYE,
    CANNOT_VERIFY,
    EARLY_TALKER,
    HELLO_FIRST,
    HELP,
    IN_TLS,
    INJECTION,
    MISSING_ARGUMENT,
    NO_ARGUMENT,
    NOT_IMPLEMENTED,
    NOT_SMTP,
    OK,
    READY_FOR_TLS,
    STOPPING,
    TOO_MANY_ERRORS,
    TOO_MUCH_JUNK,
    UNKNOWN,
    Refusal,
)
from slimtwist.edge.setting import Setting
from slimtwist.edge.trace import protocol
from slimtwist.edge.transaction import Transaction
from slimtwist.envelope import Client

_Answer = bytes | Coroutine[Any, Any, bytes]

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
#: Commands whose arguments may be in UTF-8 (RFC 6531 3.4 and 3.7.4).
_UTF8: Final = frozenset({b"MAIL", b"RCPT", b"VRFY", b"EXPN"})
#: Commands that bring no message forward.
_JUNK: Final = frozenset({b"RSET", b"NOOP", b"VRFY", b"HELP", b"EHLO", b"HELO", b"LHLO"})
#: What browsers and web servers say, tricked into talking to a mail service.
_FOREIGN: Final = frozenset(
    {
        b"GET",
        b"POST",
        b"PUT",
        b"HEAD",
        b"DELETE",
        b"OPTIONS",
        b"CONNECT",
        b"PATCH",
        b"TRACE",
        b"PRI",
    }
)


class Session:
    """One client's dialogue, from the greeting to its end."""

    _log = Logger()

    def __init__(self, setting: Setting, channel: Channel) -> None:
        """Begin with nothing known of the client."""
        self._setting = setting
        self._options = setting.options
        self._channel = channel
        self._transaction = Transaction(setting, channel, self._client)
        self._helo: str | None = None
        self._esmtp = False
        self._tls: str | None = None
        self._identity: str | None = None
        self._errors = self._junk = 0
        self._after_chunk = False
        self._over = self._stopping = False

    async def converse(self) -> None:
        """Talk until either side has had enough.

        @raise ClientGone: the client left in the middle.
        """
        try:
            await self._greet()
            while not self._over:
                await self._turn()
        finally:
            self._transaction.reset()

    def stop(self) -> None:
        """End the dialogue, at once or after the message that is under way."""
        self._stopping = True
        if self._channel.waiting and not self._transaction.active:
            self._channel.dismiss(STOPPING)

    async def _greet(self) -> None:
        if self._options.greeting_delay:
            reactor = self._setting.runtime.reactor
            await self._channel.settled(deferLater(reactor, self._options.greeting_delay))
            self._channel.allow(self._options.timeouts.command)
            if self._channel.unread:
                self._end(EARLY_TALKER)
                return
        word = "LMTP" if self._options.lmtp else "ESMTP"
        self._channel.say(f"220 {self._setting.runtime.hostname} {word} ready\r\n".encode())

    async def _turn(self) -> None:
        verb = b""
        try:
            line = await self._channel.line(self._options.limits.command_line)
            verb, argument = _split(line)
            answer = self._COMMANDS.get(verb, Session._unknown)(self, argument)
            reply = answer if isinstance(answer, bytes) else await answer
        except Refusal as refusal:
            self._refuse(verb, refusal)
        else:
            self._say(verb, reply)
        self._after_chunk = verb == b"BDAT"
        if self._stopping and not self._transaction.active and not self._over:
            self._end(STOPPING)

    def _say(self, verb: bytes, reply: bytes) -> None:
        if verb in _JUNK:
            self._junk += 1
            if self._junk > self._options.limits.junk:
                self._end(TOO_MUCH_JUNK)
                return
        else:
            self._channel.allow(self._options.timeouts.command)
        self._channel.say(reply)

    def _refuse(self, verb: bytes, refusal: Refusal) -> None:
        self._log.debug(
            "client {ip} was refused: {reply!r}",
            ip=client_ip(self._channel.transport),
            reply=refusal.reply,
        )
        if refusal.fatal:
            self._end(refusal.reply)
            return
        # 452 asks to try again, and so obeys.
        self._errors += not refusal.reply.startswith(b"452")
        if self._errors >= self._options.limits.errors:
            self._end(TOO_MANY_ERRORS)
        else:
            self._channel.say(refusal.reply)

    def _end(self, reply: bytes) -> None:
        self._channel.say(reply)
        self._over = True

    def _client(self, smtputf8: bool = False) -> Client:  # noqa: FBT002
        word = protocol(
            lmtp=self._options.lmtp,
            esmtp=self._esmtp,
            tls=self._tls is not None,
            auth=self._identity is not None,
            smtputf8=smtputf8,
        )
        ip = client_ip(self._channel.transport)
        return Client(ip, None, self._helo, word, self._tls, self._identity)

    # The commands.

    def _ehlo(self, argument: bytes) -> bytes:
        if self._options.lmtp:
            return self._unknown(argument)
        return self._hello(argument, extended=True)

    def _lhlo(self, argument: bytes) -> bytes:
        if not self._options.lmtp:
            return self._unknown(argument)
        return self._hello(argument, extended=True)

    def _helo_(self, argument: bytes) -> bytes:
        if self._options.lmtp:
            return self._unknown(argument)
        return self._hello(argument, extended=False)

    def _hello(self, argument: bytes, *, extended: bool) -> bytes:
        name = commands.hello_name(argument)
        self._transaction.reset()
        transport = self._channel.transport
        self._helo, self._esmtp, self._tls = name, extended, tls_facts(transport)
        keywords = (
            self._setting.offer.keywords(
                starttls=self._options.certificate is not None and self._tls is None,
                mechanisms=(),
            )
            if extended
            else ()
        )
        return hello(self._setting.runtime.hostname, keywords)

    def _mail(self, argument: bytes) -> bytes:
        if self._helo is None:
            raise Refusal(HELLO_FIRST)
        return self._transaction.mail(argument)

    def _rcpt(self, argument: bytes) -> _Answer:
        return self._transaction.rcpt(argument)

    def _data(self, argument: bytes) -> _Answer:
        return self._message(self._transaction.data(argument))

    def _bdat(self, argument: bytes) -> _Answer:
        return self._message(self._transaction.bdat(argument))

    async def _message(self, answer: Coroutine[Any, Any, bytes]) -> bytes:
        reply = await answer
        if not reply:  # a message was taken, or refused by others than us
            self._errors = self._junk = 0
        return reply

    def _rset(self, argument: bytes) -> bytes:
        _check_no_argument(argument)
        self._transaction.reset()
        return OK

    def _noop(self, argument: bytes) -> bytes:
        return OK

    def _vrfy(self, argument: bytes) -> bytes:
        if not argument:
            raise Refusal(MISSING_ARGUMENT)
        return CANNOT_VERIFY

    def _help(self, argument: bytes) -> bytes:
        return HELP

    def _quit(self, argument: bytes) -> bytes:
        _check_no_argument(argument)
        self._over = True
        return BYE

    def _starttls(self, argument: bytes) -> bytes:
        _check_no_argument(argument)
        if self._options.certificate is None:
            raise Refusal(NOT_IMPLEMENTED)
        if ISSLTransport.providedBy(self._channel.transport):
            raise Refusal(IN_TLS)
        if self._helo is None:
            raise Refusal(HELLO_FIRST)
        if self._channel.unread:
            # Octets that came in the clear must not be taken for octets that came in TLS.
            raise Refusal(INJECTION, fatal=True)
        self._transaction.reset()
        self._helo = self._identity = None
        self._channel.say(READY_FOR_TLS)
        self._channel.start_tls(self._options.certificate)
        return b""

    def _unimplemented(self, argument: bytes) -> bytes:
        raise Refusal(NOT_IMPLEMENTED)

    def _unknown(self, argument: bytes) -> bytes:
        # What follows a chunk without being a command was to be its end: the sizes disagree.
        raise Refusal(UNKNOWN, fatal=self._after_chunk)

    _COMMANDS: Final[Mapping[bytes, Callable[[Session, bytes], _Answer]]] = {
        b"EHLO": _ehlo,
        b"HELO": _helo_,
        b"LHLO": _lhlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"BDAT": _bdat,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"EXPN": _unimplemented,
        b"ETRN": _unimplemented,
        b"TURN": _unimplemented,
        b"HELP": _help,
        b"QUIT": _quit,
        b"STARTTLS": _starttls,
    }


def _split(line: bytes) -> tuple[bytes, bytes]:
    """Return the verb in upper case, and its argument."""
    verb, _, argument = line.partition(b" ")
    verb = verb.upper()
    if verb in _FOREIGN:
        raise Refusal(NOT_SMTP, fatal=True)
    if _CONTROL.search(line) or not (line.isascii() or verb in _UTF8):
        raise Refusal(BAD_OCTETS)
    return verb, argument.strip(b" ")


def _check_no_argument(argument: bytes) -> None:
    if argument:
        raise Refusal(NO_ARGUMENT)
