# -*- test-case-name: tests.integration.test_lmtp -*-
"""Our LMTP client, by itself and behind ``twistd relay``, against Dovecot and smtp-sink.

Each recipient keeps the reply that Dovecot has for him, and what is in the mailboxes is what was
sent, octet for octet (LMTP-14).
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Sequence

from tests.integration.certificates import Authority
from tests.integration.clients import stuffed, swaks
from tests.integration.daemons import DaemonCase, below_trace
from tests.integration.dialogue import Said, in_thread, say
from tests.integration.dovecot import Dovecot, User
from tests.integration.maildir import Delivered
from tests.integration.sinks import SmtpSink
from tests.integration.smarthost import MESSAGE, SmarthostCase, verifying
from tests.integration.switches import Switches

#: One who takes mail, one whose mailbox is full, one whose mailbox is broken, one unknown.
_USERS = [User("good"), User("full", quota=1), User("broken")]
_FOUR = ["good@b.test", "full@b.test", "broken@b.test", "unknown@b.test"]
_MESSAGES = [
    b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n",
    b"no header\r\n",
    b"\r\nFrom x\r\n",
    b"Subject: \0\xc3\xa4\xff\r\n\r\n" + b"x" * 900 + b"\r\n" + b"y\r\n" * 100_000,
]


def _broken(dovecot: Dovecot) -> Dovecot:
    """Break a mailbox: where its folder should be there is a file."""
    (dovecot.socket.parent / "mail" / "broken").touch()
    return dovecot


def _passed(said: Said, peer: str) -> Said:
    """Return a reply without what the relay adds to a refusal: who gave it, and to what."""
    code, text = said
    return code, re.sub(rf" \({re.escape(peer)}, (?:RCPT|end of data)\)\Z", "", text)


def _plain(text: str) -> str:
    """Return a reply without what differs from session to session."""
    return re.sub(r"[\w+/:]{22,}(?= Saved)|\[[-\d: ]+\]", "...", text)


def _stored(message: Delivered) -> tuple[str, bytes]:
    """Return the protocol in our trace field, and the message below it and Dovecot's own field."""
    own, _, trace = message.own.partition(b"\r\n")
    if own != b"Return-Path: <s@a.test>":
        raise ValueError(f"not Dovecot's field: {own!r}")
    return below_trace(trace + message.octets)


def _talk(where: str | int, recipients: Sequence[str], octets: bytes) -> list[Said]:
    """Send by Python's own client; return the reply that decides for each recipient."""
    address = (where, 0) if isinstance(where, str) else ("127.0.0.1", where)
    with smtplib.LMTP(*address, "client.test") as lmtp:
        lmtp.ehlo()
        say(lmtp, "MAIL FROM:<s@a.test>")
        said = [say(lmtp, f"RCPT TO:<{each}>") for each in recipients]
        if any(code < 400 for code, _ in said):
            say(lmtp, "DATA")
            lmtp.send(stuffed(octets))
        for place in [place for place, (code, _) in enumerate(said) if code < 400]:
            code, text = lmtp.getreply()
            said[place] = code, text.decode()
    return [(code, _plain(text)) for code, text in said]


class RelayTests(SmarthostCase):
    """The relay alone."""

    async def test_outcomes(self) -> None:
        """Each recipient has his own, over TCP and over a UNIX socket, twice if there twice."""
        dovecot = _broken(self.serve(Dovecot(_USERS)))
        recipients = [*_FOUR, "good@b.test", "unknown@b.test"]
        for relay in (
            self.lmtp_to(dovecot.port, tls="none"),
            self.lmtp_to(24, unix=str(dovecot.socket), tls="none"),
        ):
            found = await self.told(relay, *recipients)
            starts = [
                "delivered at end of data: 250 2.0.0 <good@b.test> ",
                "failed at end of data: 552 5.2.2 <full@b.test> Quota exceeded",
                "deferred at end of data: 451 4.",
                "failed at RCPT: 550 5.1.1 <unknown@b.test> User doesn't exist",
                "delivered at end of data: 250 2.0.0 <good@b.test> ",
                "failed at RCPT: 550 5.1.1 <unknown@b.test> User doesn't exist",
            ]
            for start, each in zip(starts, found, strict=True):
                self.assertEqual(start, each[: len(start)])
        # Dovecot stores one copy of a message in a mailbox.
        self.assertEqual([MESSAGE] * 2, [each.octets for each in dovecot.messages("good")])

    async def test_all_refused(self) -> None:
        """Are all unknown, the connection serves the next message (LMTP-06, LMTP-07)."""
        dovecot = self.serve(Dovecot(_USERS))
        relay = self.lmtp_to(dovecot.port, tls="none", pool_size=1)
        for _ in range(2):
            found = await self.told(relay, "x@b.test", "y@b.test")
            self.assertEqual(["failed at RCPT: 550"] * 2, [each[:19] for each in found])
        [good] = await self.told(relay, "good@b.test")
        self.assertEqual("delivered", good[:9])

    async def test_octets(self) -> None:
        """What is in the mailbox is what was sent (L8)."""
        dovecot = self.serve(Dovecot(_USERS))
        relay = self.lmtp_to(dovecot.port, tls="none")
        for octets in _MESSAGES:
            [told] = await self.told(relay, "good@b.test", octets=octets)
            self.assertEqual("delivered", told[:9])
        self.assertEqual(_MESSAGES, [each.octets for each in dovecot.messages("good")])

    async def test_tls(self) -> None:
        """TLS by STARTTLS, to a server that proves who it is."""
        authority = Authority()
        dovecot = self.serve(Dovecot(_USERS, certificate=authority.certificate("127.0.0.1")))
        [outcome] = await self.send(
            self.lmtp_to(dovecot.port, tls=verifying(authority)), "good@b.test"
        )
        self.assertEqual(("250", "TLSv1.3"), (str(outcome.reply)[:3], (outcome.tls or "")[:7]))

    async def test_quota_defers(self) -> None:
        """Who is full for now is deferred, by the server's own reply."""
        dovecot = self.serve(Dovecot(_USERS, quota_defers=True))
        [told] = await self.told(self.lmtp_to(dovecot.port, tls="none"), "full@b.test")
        self.assertEqual("deferred at end of data: 452 4.2.2 ", told[:35])

    async def test_sink(self) -> None:
        """Postfix's smtp-sink as an LMTP server: many recipients, over and over (LMTP-04)."""
        sink = self.serve(SmtpSink(Switches(lmtp=True)))
        relay = self.lmtp_to(sink.port, tls="none", pool_size=1)
        recipients = ["a@b.test", "b@b.test", "a@b.test"] * 3
        for _ in range(3):
            found = {each[:29] for each in await self.told(relay, *recipients)}
            self.assertEqual({"delivered at end of data: 250"}, found)
        taken = sink.messages()
        self.assertEqual(["LMTP"] * 3, [each.protocol for each in taken])
        self.assertEqual([tuple(f"<{r}>" for r in recipients)] * 3, [t.recipients for t in taken])


class DaemonTests(DaemonCase):
    """LMTP in, LMTP out."""

    async def test_four(self) -> None:
        """Four recipients with four outcomes pass the relay, and not one is changed (L11)."""
        dovecot = _broken(self.serve(Dovecot(_USERS)))
        direct = await in_thread(_talk, str(dovecot.socket), _FOUR, _MESSAGES[0])
        self.assertEqual([250, 552, 451, 550], [code for code, _ in direct])
        for description, peer in (
            (f"lmtp:unix={dovecot.socket}", str(dovecot.socket)),
            (f"lmtp:127.0.0.1:port={dovecot.port}", f"127.0.0.1 [127.0.0.1]:{dovecot.port}"),
        ):
            relay = self.relay(description, lmtp=True)
            for step in (1, -1):
                found = await in_thread(_talk, str(relay.socket), _FOUR[::step], _MESSAGES[0])
                self.assertEqual(direct[::step], [_passed(each, peer) for each in found])
            relay.stop()
        first, *others = dovecot.messages("good")
        self.assertEqual(_MESSAGES[0], first.octets)
        self.assertEqual([("LMTP", _MESSAGES[0])] * 4, [_stored(each) for each in others])

    async def test_octets(self) -> None:
        """What swaks sends arrives, below our trace field (L8)."""
        dovecot = self.serve(Dovecot(_USERS))
        relay = self.relay(f"lmtp:unix={dovecot.socket}", lmtp=True)
        options = ["--protocol", "LMTP", "--from", "s@a.test", "--to", "good@b.test"]
        for octets in _MESSAGES:
            finished = await swaks(str(relay.socket), *options, octets=octets)
            self.assertEqual(0, finished.status, finished.text)
        stored = [_stored(each) for each in dovecot.messages("good")]
        self.assertEqual([("LMTP", octets) for octets in _MESSAGES], stored)
