# -*- test-case-name: tests.testing.test_smarthost -*-
"""A strict mail server for tests, which answers as it is told and takes nothing on trust.

A test says what it answers, and asks what it took::

    mx = FakeSmarthost(replies={"RCPT": ["250 2.1.5 ok", "450 4.7.1 greylisted"]})
    reactor.add_host("mx.example", mx)
    ...
    assert mx.messages == [Message("a@example.org", ("b@example.net",), b"...")]
    mx.verify()

It speaks SMTP, or LMTP (C{lhlo=True}), with PIPELINING or without, STARTTLS and AUTH PLAIN, and
keeps what it accepted. A client that breaks the protocol is answered as a strict server does, and
L{FakeSmarthost.verify} tells of it. It knows nothing of C{slimtwist.smtp}: the two share no parser,
so they cannot be wrong together. It works on real sockets as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from slimtwist.testing.answers import Answers, Rule
from slimtwist.testing.flow import Cut
from slimtwist.testing.session import ServerSession


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was accepted.

    @ivar sender: the mailbox of MAIL, without brackets; empty for the null sender.
    @ivar recipients: the mailboxes it was accepted for, in order.
    @ivar octets: the message, without dot stuffing.
    """

    sender: str
    recipients: tuple[str, ...]
    octets: bytes


@dataclass(frozen=True, slots=True)
class CutAfter:
    """Where a connection is cut.

    @ivar point: a command: the cut comes in the reply to it, or C{"."}: in the reply to a message.
        C{"BODY"}: the cut comes in the message. C{"GREETING"}: in the greeting.
    @ivar octets: how many octets of the reply are sent, or of the message taken, before.
    @ivar how: as seen by the client.
    @ivar occurrence: which of the commands it is, from 1, counted over all connections.
    """

    point: str
    octets: int = 0
    how: Cut = Cut.RST
    occurrence: int = 1


class FakeSmarthost(Factory):
    """Accepts mail.

    @param replies: what to answer instead of the defaults, see L{slimtwist.testing.answers}. The
        keys are C{"GREETING"}, the commands, and C{"."} for the reply to a message.
    @param extensions: the lines of the reply to EHLO; those that are known are carried out:
        PIPELINING, 8BITMIME, SMTPUTF8, SIZE, DSN, CHUNKING, STARTTLS, ENHANCEDSTATUSCODES.
    @param name: what the server calls itself.
    @param lhlo: speak LMTP (RFC 2033).
    @param users: name -> password; AUTH PLAIN is offered, and mail taken only after it.
    @param context: for STARTTLS on real sockets.
    @param cut_after: where the connection is cut; a pair is its point and octets, for a reset.
    @ivar messages: what was accepted, in order.
    @ivar sessions: the connections, in order.
    """

    noisy = False

    def __init__(
        self,
        replies: Mapping[str, Rule] | None = None,
        extensions: Sequence[str] = ("PIPELINING", "8BITMIME"),
        *,
        name: str = "mx.example",
        lhlo: bool = False,
        users: Mapping[str, str] | None = None,
        context: object = None,
        cut_after: CutAfter | tuple[str, int] | None = None,
    ) -> None:
        self.answers = Answers(replies or {})
        self.extensions = tuple(extensions)
        self.name = name
        self.lhlo = lhlo
        self.users = users
        self.context = context
        self.cut_after = CutAfter(*cut_after) if isinstance(cut_after, tuple) else cut_after
        self.messages: list[Message] = []
        self.sessions: list[ServerSession] = []
        self._passed = 0

    @property
    def transcript(self) -> list[str]:
        """What was said, on all connections: C{"S: 220 mx.example ESMTP"}, C{"C: EHLO me"}."""
        return [line for session in self.sessions for line in session.transcript]

    def buildProtocol(self, addr: IAddress | None) -> ServerSession:
        """Return a new connection."""
        session = ServerSession(self)
        self.sessions.append(session)
        return session

    def accept(self, sender: str, recipients: Sequence[str], octets: bytes) -> None:
        """Keep a message."""
        self.messages.append(Message(sender, tuple(recipients), octets))

    def cut_at(self, point: str) -> CutAfter | None:
        """Return the cut if it is at this point now; it comes once."""
        cut = self.cut_after
        if cut is None or cut.point != point:
            return None
        self._passed += 1
        return cut if self._passed == cut.occurrence else None

    def verify(self) -> None:
        """Check that every client kept to the protocol.

        @raise AssertionError: one did not; the text says how, and what was said.
        """
        wrongs = [wrong for session in self.sessions for wrong in session.wrongs]
        if wrongs:
            raise AssertionError("\n".join([*wrongs, "what was said:", *self.transcript]))
