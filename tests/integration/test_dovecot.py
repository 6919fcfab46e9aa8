# -*- test-case-name: tests.integration.test_dovecot -*-
"""A Dovecot of ours delivers by LMTP to mailboxes that a test can read back."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence

from tests.integration.case import ServerCase
from tests.integration.certificates import Authority
from tests.integration.clients import stuffed, swaks
from tests.integration.dialogue import Said, in_thread, say, trusting
from tests.integration.dovecot import Dovecot, User

_HEAD = b"Subject: x\r\n\r\n"
_KEPT = [
    _HEAD + b"hello\r\n",
    b"",
    b"\r\n",
    b"no header\r\n",
    b" white space\r\nFrom first\r\n",
    b"From x\r\nReturn-Path: <a>\r\nReceived: x\r\n\ty\r\nDelivered-To: x\r\n\r\nFrom me\r\n",
    _HEAD + b".\r\n..\r\n.a\r\n",
    _HEAD + b"a\rb\r\r\n\rc \t\r\n",
    _HEAD + bytes(set(range(256)) - {10, 13}) + b"\r\n",
    b"Subject: \0\xc3\xa4\xff\r\nTo : y\r\n\r\n" + b"x" * 100_000 + b"\r\n",
]
_USERS = [User("good"), User("full", quota=1)]


def _delivered(
    port: int, recipients: Sequence[str], octets: bytes, tls: ssl.SSLContext | None = None
) -> list[Said]:
    """Return a reply for each recipient: to RCPT if it was refused there, or to end of data."""
    with smtplib.LMTP("127.0.0.1", port, "client.test") as lmtp:
        lmtp.ehlo()
        if tls is not None:
            lmtp.starttls(context=tls)
            lmtp.ehlo()
        say(lmtp, "MAIL FROM:<s@a.test> BODY=8BITMIME")
        said = {each: say(lmtp, f"RCPT TO:<{each}>") for each in recipients}
        accepted = [each for each in recipients if said[each][0] < 400]
        if accepted:
            say(lmtp, "DATA")
            lmtp.send(stuffed(octets))
        for recipient in accepted:
            code, text = lmtp.getreply()
            said[recipient] = code, text.decode()
    return list(said.values())


class DovecotTests(ServerCase):
    """LMTP on TCP and on a UNIX socket."""

    async def test_three_outcomes(self) -> None:
        """A good user, one over quota and one unknown, each with a reply of its own."""
        dovecot = self.serve(Dovecot(_USERS))
        recipients = ["good@b.test", "full@b.test", "unknown@b.test"]
        good, full, unknown = await in_thread(_delivered, dovecot.port, recipients, _KEPT[0])
        self.assertEqual((good[0], good[1][:19]), (250, "2.0.0 <good@b.test>"))
        over = "5.2.2 <full@b.test> Quota exceeded (mailbox for user is full)"
        self.assertEqual(full, (552, over))
        self.assertEqual(unknown[0], 550)
        self.assertEqual([each.octets for each in dovecot.messages("good")], [_KEPT[0]])
        self.assertEqual(dovecot.messages("full"), [])
        await self.logged(dovecot, "save failed to INBOX")

    async def test_quota_defers(self) -> None:
        """Who is over quota is refused for now, if the test wants it so."""
        dovecot = self.serve(Dovecot(_USERS, quota_defers=True))
        [full] = await in_thread(_delivered, dovecot.port, ["full@b.test"], _KEPT[0])
        self.assertEqual((full[0], full[1][:5]), (452, "4.2.2"))

    async def test_octets(self) -> None:
        """Every message arrives as it was sent, even bare CRs and NULs; a bare LF is CRLF."""
        dovecot = self.serve(Dovecot(_USERS))
        for octets in [*_KEPT, _HEAD + b"a\nb\r\n"]:
            [(code, _)] = await in_thread(_delivered, dovecot.port, ["good@b.test"], octets)
            self.assertEqual(code, 250)
        arrived = [each.octets for each in dovecot.messages("good")]
        self.assertEqual(arrived, [*_KEPT, _HEAD + b"a\r\nb\r\n"])
        self.assertEqual(dovecot.messages("good")[0].own, b"Return-Path: <s@a.test>\r\n")

    async def test_unix_socket(self) -> None:
        """LMTP on the UNIX socket, from swaks."""
        dovecot = self.serve(Dovecot(_USERS))
        options = ["--protocol", "LMTP", "--from", "s@a.test", "--to", "good@b.test,full@b.test"]
        finished = await swaks(str(dovecot.socket), *options, octets=_KEPT[0])
        self.assertIn("<** 552 5.2.2 <full@b.test>", finished.text)
        self.assertEqual([each.octets for each in dovecot.messages("good")], [_KEPT[0]])

    async def test_starttls(self) -> None:
        """STARTTLS with a certificate that can be verified."""
        authority = Authority()
        dovecot = self.serve(Dovecot(_USERS, certificate=authority.certificate("127.0.0.1")))
        tls = trusting(authority)
        [said] = await in_thread(_delivered, dovecot.port, ["good@b.test"], _KEPT[0], tls)
        self.assertEqual(said[0], 250)

    async def test_several_at_once(self) -> None:
        """Dovecots do not know of each other."""
        one, other = self.serve(Dovecot([User("a")])), self.serve(Dovecot([User("b")]))
        [[said]] = [await in_thread(_delivered, one.port, ["a@b.test"], _KEPT[0])]
        [[unknown]] = [await in_thread(_delivered, other.port, ["a@b.test"], _KEPT[0])]
        self.assertEqual((said[0], unknown[0]), (250, 550))
