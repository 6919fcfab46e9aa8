# -*- test-case-name: tests.edge.test_session -*-
"""One client's session: greeting, commands and their replies, and how much of a client is borne.

One command is read and answered, and only then is the next one looked at; so replies are in order
however long an answer takes.

Sources: RFC 5321 3.1 (greeting), 4.1.1 and 4.2 (commands and replies), 7.8 (attacks); RFC 2920.
"""

from __future__ import annotations

import re
from typing import Final

from twisted.internet.task import deferLater
from twisted.logger import Logger

from slimtwist.edge.channel import Channel
from slimtwist.edge.dialogue import Dialogue
from slimtwist.edge.peer import client_ip
from slimtwist.edge.replies import (
    BAD_OCTETS,
    EARLY_TALKER,
    LINE_TOO_LONG,
    NOT_SMTP,
    STOPPING,
    TOO_MANY_ERRORS,
    TOO_MUCH_JUNK,
    Refusal,
)
from slimtwist.edge.setting import Setting

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
#: Commands whose arguments may be in UTF-8 (RFC 6531 3.4 and 3.7.4).
_UTF8: Final = frozenset({b"MAIL", b"RCPT", b"VRFY", b"EXPN"})
#: Commands that bring no message forward.
_JUNK: Final = frozenset({b"RSET", b"NOOP", b"VRFY", b"HELP", b"EHLO", b"HELO", b"LHLO"})
#: What browsers and web servers say, tricked into talking to a mail service.
_FOREIGN: Final = re.compile(rb"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|CONNECT|PATCH|TRACE|PRI)\Z")
#: Whose whole argument can be longer than a command.
_LONG: Final = b"AUTH"


class Session:
    """What is said to one client, from the greeting to the end."""

    _log = Logger()

    def __init__(self, setting: Setting, channel: Channel) -> None:
        """Begin before the greeting."""
        self._setting = setting
        self._options = setting.options
        self._limits = setting.options.limits
        self._channel = channel
        self._dialogue = Dialogue(setting, channel)
        self._errors = self._junk = 0
        self._over = self._stopping = False

    async def converse(self) -> None:
        """Talk until either side has had enough.

        @raise ClientGone: the client left in the middle.
        """
        try:
            await self._greet()
            while not self._over:
                if self._stopping and not self._dialogue.transaction.active:
                    self._end(STOPPING)
                else:
                    await self._turn()
        finally:
            self._dialogue.forget()

    def stop(self) -> None:
        """End the session, at once or after the message that is under way."""
        self._stopping = True
        if self._channel.waiting and not self._dialogue.transaction.active:
            self._channel.dismiss(STOPPING)

    async def _greet(self) -> None:
        if self._options.greeting_delay:
            reactor = self._setting.runtime.reactor
            await self._channel.settled(deferLater(reactor, self._options.greeting_delay))
            if self._channel.unread:
                self._end(EARLY_TALKER)
                return
        word = "LMTP" if self._options.lmtp else "ESMTP"
        self._channel.say(f"220 {self._setting.runtime.hostname} {word} ready\r\n".encode("ascii"))

    async def _turn(self) -> None:
        try:
            line = await self._channel.line(self._longest)
            verb, argument = _split(line, self._limits.command_line - 2)
            answer = self._dialogue.answer(verb, argument)
            reply = answer if isinstance(answer, bytes) else await answer
        except Refusal as refusal:
            self._refuse(refusal)
        else:
            self._say(verb, reply)

    @property
    def _longest(self) -> int:
        return self._limits.command_line if self._options.portal is None else self._limits.auth_line

    def _say(self, verb: bytes, reply: bytes) -> None:
        self._over = self._dialogue.over
        if verb in _JUNK:
            self._junk += 1
            if self._junk > self._limits.junk:
                self._end(TOO_MUCH_JUNK)
                return
        else:
            self._channel.allow(self._options.timeouts.command)
            if verb in {b"DATA", b"BDAT"} and not reply:  # a message came to its end
                self._errors = self._junk = 0
        self._channel.say(reply)

    def _refuse(self, refusal: Refusal) -> None:
        ip = client_ip(self._channel.transport)
        self._log.debug("client {ip} was refused: {reply!r}", ip=ip, reply=refusal.reply)
        # 452 asks the client to try again, and a client that does obeys.
        self._errors += not refusal.reply.startswith(b"452")
        if refusal.fatal:
            self._end(refusal.reply)
        elif self._errors >= self._limits.errors:
            self._end(TOO_MANY_ERRORS)
        else:
            self._channel.say(refusal.reply)

    def _end(self, reply: bytes) -> None:
        self._channel.say(reply)
        self._over = True


def _split(line: bytes, longest: int) -> tuple[bytes, bytes]:
    """Return the verb in upper case, and its argument."""
    verb, _, argument = line.partition(b" ")
    verb = verb.upper()
    if _FOREIGN.match(verb):
        raise Refusal(NOT_SMTP, fatal=True)
    if len(line) > longest and verb != _LONG:
        raise Refusal(LINE_TOO_LONG)
    if _CONTROL.search(line) or not (line.isascii() or verb in _UTF8):
        raise Refusal(BAD_OCTETS)
    return verb, argument.strip(b" ")
