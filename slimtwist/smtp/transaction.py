# -*- test-case-name: tests.smtp.test_transaction -*-
"""One mail transaction: MAIL, RCPT, DATA, and what became of each recipient.

SMTP and LMTP differ in one line: how many replies the end of data is owed.  Trouble is never raised
here: it is the outcome of those recipients for whom nothing had been decided.  But what a peer said
in the group of commands in which it broke the protocol decides nothing: replies may have moved from
one recipient to another.

Sources: RFC 5321 3.3, 4.1.1 and 4.5.3.1.10, RFC 2920 3.1, RFC 2033 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from twisted.logger import Logger

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import ProtocolViolation, fault_outcome
from slimtwist.outcome import Outcome
from slimtwist.reply import Reply
from slimtwist.smtp.channel import Broken
from slimtwist.smtp.fit import fitting, mail_command, misfit, rcpt_command, unreachable
from slimtwist.smtp.session import Session
from slimtwist.smtp.wire import DotStuffer

#: 2yz codes that RFC 5321 4.2.3 and RFC 4954 6 give to other commands: such a reply is not to ours.
_FOREIGN: Final = frozenset({b"211", b"214", b"220", b"221", b"235"})


class Transaction:
    """Carries one message to some of its recipients, over a session that is at rest.

    @ivar outcomes: by position in the envelope; when L{run} has returned, one for each position.
    @ivar postponed: positions that the host wants to hear of in a transaction of their own (RFC
        5321 4.5.3.1.10).
    @ivar open: whether the host may still think of this transaction, so that RSET is due.
    @ivar lost: whether the connection broke before the host waited for a message.
    @ivar answered: how many of the commands before the message got a reply.
    @ivar unheard: positions of which the host has said nothing that decides.
    """

    _log = Logger()

    def __init__(self, session: Session, envelope: Envelope, positions: Sequence[int]) -> None:
        """Prepare; nothing is sent.

        @param positions: of the recipients that this transaction is for.
        """
        self._session = session
        self._channel = session.channel
        self._envelope = envelope
        self._positions = list(positions)
        self._accepted: list[int] = []
        self.outcomes: dict[int, Outcome] = {}
        self.postponed: list[int] = []
        self.open = False
        self.lost = False
        self.answered = 0
        self.unheard: list[int] = []

    async def run(self) -> None:
        """Make the transaction."""
        try:
            content = fitting(self._session, self._envelope.content)
        except Exception as error:  # noqa: BLE001 - an encoder may be anybody's code
            self._fault(error, "MAIL")
            return
        if not self._fit(content):
            return
        replies = await self._introduce(content)
        self.answered = len(replies)
        if self._judge(replies):
            await self._message(content)

    def _fit(self, content: Content) -> bool:
        """Decide what the host has told us that it cannot take; return whether anybody is left."""
        if (reply := misfit(self._session, self._envelope, content)) is not None:
            self._decide(self._positions, self._ours(reply, "MAIL"))
            return False
        extensions, recipients = self._session.extensions, self._envelope.recipients
        for position in self._positions:
            if (reply := unreachable(extensions, recipients[position])) is not None:
                self._decide([position], self._ours(reply, "RCPT"))
        self._positions = [each for each in self._positions if each not in self.outcomes]
        return bool(self._positions)

    # MAIL, RCPT and DATA

    async def _introduce(self, content: Content) -> list[bytes]:
        """Tell of sender and recipients, and ask for the word to send; return the replies."""
        self.open = True
        timeouts = self._session.options.timeouts
        commands = list(self._commands(content))
        waits = [timeouts.mail, *[timeouts.rcpt] * len(self._positions), timeouts.data]
        if self._session.extensions.pipelining:
            return await self._channel.send(b"".join(commands), waits)
        replies: list[bytes] = []
        for command, wait in zip(commands, waits, strict=True):
            last = len(replies) == len(commands) - 1
            if last and not any(map(_positive, replies[1:])):
                break  # nobody was accepted, so that there is nothing to send
            answer = await self._channel.send(command, (wait,))
            replies += answer
            if not answer or not _sensible(answer[0]) or not _positive(replies[0]):
                break
        return replies

    def _commands(self, content: Content) -> Iterator[bytes]:
        extensions, envelope = self._session.extensions, self._envelope
        recipients = [envelope.recipients[position] for position in self._positions]
        smtputf8 = envelope.needs_smtputf8 or any(r.address.needs_smtputf8 for r in recipients)
        yield mail_command(envelope, content, extensions, smtputf8=smtputf8)
        for recipient in recipients:
            yield rcpt_command(recipient, extensions)
        yield b"DATA\r\n"

    def _judge(self, replies: list[bytes]) -> bool:
        """Note what was decided for whom; return whether the host waits for a message."""
        trouble = self._channel.trouble
        data = replies[-1] if len(replies) == len(self._positions) + 2 else b""
        # A refusal behind 354 is about the message, as it would be a moment later, in the middle of
        # it: how a peer's words are cut into segments decides nothing.
        refusal = trouble.extra if trouble is not None and data.startswith(b"354") else None
        if trouble is not None and trouble.kind is ProtocolViolation and refusal is None:
            self._give_up(self._positions, self._command(len(replies)))
            return False
        if wrong := next(_wrong(replies[: len(self._positions) + 1], data), None):
            command = self._command(wrong[0])
            self._decide(self._positions, self._session.violation(command, wrong[1]))
            return False
        self._judge_each(replies, refusal or data)
        self.lost |= any(reply.startswith(b"421") for reply in replies)
        return self._channel.trouble is None and data.startswith(b"354")

    def _judge_each(self, replies: list[bytes], data: bytes) -> None:
        if replies and not _positive(replies[0]):
            self._heed(self._positions, "MAIL", replies[0])
        else:
            self._judge_recipients(replies[1:])
        if self._accepted and data and not data.startswith(b"354"):
            self._heed(self._accepted, "DATA", data)
        if self._channel.trouble is not None or not data:
            self._decide_rest(len(replies))
        elif data.startswith(b"354") and not self._accepted:
            self._decline(replies[1:-1])

    def _decline(self, recipients: list[bytes]) -> None:
        """Leave a host that wants data for nobody; what it says to that means nothing."""
        # RFC 2920 3.1: it gets an empty message.  But one that took recipients behind a refused
        # sender may have another transaction in mind, and would deliver that.
        self._channel.close(b"" if any(map(_positive, recipients)) else b".\r\nQUIT\r\n")

    def _judge_recipients(self, replies: list[bytes]) -> None:
        for position, reply in zip(self._positions, replies, strict=False):
            if _positive(reply):
                self._accepted.append(position)
            else:
                if self._accepted and _is_excess(reply):
                    self.postponed.append(position)
                self._heed([position], "RCPT", reply)

    def _decide_rest(self, answered: int) -> None:
        """Decide for those whom the host had no time, or no reason, to decide for."""
        waiting = [*self._accepted, *self._positions[max(answered - 1, 0) :]]
        rest = [each for each in waiting if each not in self.outcomes]
        if rest:
            self.lost = True
            self._give_up(rest, self._command(answered))

    def _command(self, answered: int) -> str:
        """Return the first command that was not answered."""
        return "MAIL" if not answered else "RCPT" if answered <= len(self._positions) else "DATA"

    # The message

    async def _message(self, content: Content) -> None:
        try:
            await self._channel.send_body(_stuffed(content))
        except Broken:
            self._give_up(self._accepted, "DATA")
        except Exception as error:  # noqa: BLE001 - a content may be anybody's file
            # The host must never see the end of what could not be read to its end.
            self._channel.close()
            self._fault(error, "DATA")
        else:
            await self._end_of_data()

    async def _end_of_data(self) -> None:
        """Wait for what decides; from here on, until it has come, an end is ambiguous."""
        final = self._session.options.timeouts.final
        accepted = self._accepted
        groups = [[each] for each in accepted] if self._session.options.lmtp else [accepted]
        replies = await self._channel.send(b"", [final] * len(groups))
        # Postfix keeps a transaction that its smtpd_end_of_data_restrictions have refused, and then
        # takes the next MAIL for a nested one.
        self.open = not all(map(_positive, replies))
        self._conclude(groups, replies)

    def _conclude(self, groups: list[list[int]], replies: list[bytes]) -> None:
        """Read the replies that decide, up to where one is missing or makes no sense."""
        for place, (positions, reply) in enumerate(zip(groups, replies, strict=False)):
            if not _sensible(reply):
                outcome = self._session.violation("end of data", reply, ambiguous=True)
                self._decide(chain.from_iterable(groups[place:]), outcome)
                return
            self._heed(positions, "end of data", reply)
        if rest := list(chain.from_iterable(groups[len(replies) :])):
            self._give_up(rest, "end of data", ambiguous=True)

    # How it is noted

    def _ours(self, reply: Reply, command: str) -> Outcome:
        return Outcome.of(reply, host=self._session.host, command=command, tls=self._session.tls)

    def _heed(self, positions: Iterable[int], command: str, reply: bytes) -> None:
        self._decide(positions, self._ours(Reply.received(reply), command))

    def _give_up(self, positions: Sequence[int], command: str, *, ambiguous: bool = False) -> None:
        self.unheard += positions
        self._decide(positions, self._session.trouble(command, ambiguous=ambiguous))

    def _fault(self, error: Exception, command: str) -> None:
        self._log.failure("message {id} cannot be sent", id=self._envelope.id)
        outcome = fault_outcome(
            "internal", type(error).__name__, command=command, host=self._session.host
        )
        self._decide([each for each in self._positions if each not in self.outcomes], outcome)

    def _decide(self, positions: Iterable[int], outcome: Outcome) -> None:
        self.outcomes.update(dict.fromkeys(positions, outcome))


def _positive(reply: bytes) -> bool:
    return reply[:1] == b"2" and reply[:3] not in _FOREIGN


def _sensible(reply: bytes) -> bool:
    """Tell whether a reply can stand behind MAIL, RCPT or the end of data."""
    return reply[:1] in b"45" or _positive(reply)


def _wrong(replies: list[bytes], data: bytes) -> Iterator[tuple[int, bytes]]:
    """Find replies that can stand behind no MAIL or RCPT, or not behind DATA, with their places."""
    for place, reply in enumerate(replies):
        if not _sensible(reply):
            yield place, reply
    if replies and replies[0].startswith(b"503") and any(map(_positive, replies[1:])):
        yield 0, replies[0]  # it has another transaction in mind
    if data.startswith(b"503") and _has_forgotten(replies[1:]):
        yield len(replies), data
    # Where nobody was accepted, a host may want data all the same, or say anything but yes.
    if data and data[:1] not in b"45" and not data.startswith(b"354"):
        yield len(replies), data


def _has_forgotten(recipients: list[bytes]) -> bool:
    """Tell whether a host took a recipient and then knew of no transaction that he belongs to."""
    out_of_order = any(reply.startswith(b"503") for reply in recipients)
    return out_of_order and any(map(_positive, recipients))


def _is_excess(reply: bytes) -> bool:
    """Tell whether a refusal means "too many recipients", not "this one"."""
    return reply.startswith(b"452") and Reply.received(reply).enhanced in ("4.5.3", "4.0.0")


def _stuffed(content: Content) -> Iterator[bytes]:
    """Yield what is sent of a message; the end of data stands alone, as the last."""
    stuffer = DotStuffer()
    for block in content.blocks():
        if stuffed := stuffer.feed(block):
            yield stuffed
    yield stuffer.finish()
