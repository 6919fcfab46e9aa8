# -*- test-case-name: tests.edge.test_commands -*-
"""Tests of the grammar of command arguments."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address, Recipient
from slimtwist.edge.commands import Mail, chunk, hello_name, mail, rcpt
from slimtwist.edge.replies import Refusal


def mailed(argument: bytes, *, dsn: bool = True, auth: bool = True) -> Mail | str:
    """Return what MAIL says, or the code of its refusal."""
    try:
        return mail(argument, dsn=dsn, auth=auth)
    except Refusal as refusal:
        return refusal.reply[:9].decode()


def recipient(argument: bytes, *, dsn: bool = True, smtputf8: bool = False) -> Recipient | str:
    """Return whom RCPT names, or the code of its refusal."""
    try:
        return rcpt(argument, dsn=dsn, smtputf8=smtputf8)
    except Refusal as refusal:
        return refusal.reply[:9].decode()


class MailCommand(SynchronousTestCase):
    """What follows MAIL."""

    def test_sender(self) -> None:
        """The reverse-path is taken octet for octet; the word and spaces may vary (OUT-06)."""
        for path in [
            b"",
            b"a@example.org",
            b"prvs=123abc=a@example.org",
            b"SRS0=x=y=example.net=a@example.org",
            b"a+b=c@example.org",
            b'"a b>c\\""@example.org',
            b"A.b@[192.0.2.1]",
            b"a@[IPv6:2001:db8::1]",
        ]:
            for form in (b"FROM:<%b>", b"From: <%b>", b"from:<%b> SIZE=1"):
                found = mailed(form % path)
                self.assertIsInstance(found, Mail, form % path)
                assert isinstance(found, Mail)
                self.assertEqual(found.sender, Address(path))

    def test_malformed(self) -> None:
        """What has not the form of the command is 501 (ING-04)."""
        for argument in [
            b"",
            b"FROM",
            b"FROM:",
            b"FROM:<",
            b"FROM:a@b",
            b"FROM:  <a@b>",
            b"FROM:<a@b>X",
            b"FROM:<a@b>SIZE=1",
            b"FROM <a@b>",
            b"FROM :<a@b>",
            b"TO:<a@b>",
            b"FROM:<a@b",
            b"FROM:a@b>",
            b"FROM:<<a@b>>",
            b'FROM:<"a@b>',
        ]:
            self.assertIn(mailed(argument), {"501 5.5.4", "501 5.1.7"}, argument)

    def test_rewritable(self) -> None:
        """An address that others would make another one of is refused (INJ-05)."""
        for path in [
            b"a@b@c",
            b"foo (c) bar@x",
            b"bob <x@y>",
            b"@r1,@r2:a@b",
            b"a b@c",
            b"a@b,c@d",
            b"@x",
            b"a@",
            b"a@b.",
            b"a" * 250 + b"@b.cd",
        ]:
            self.assertEqual(mailed(b"FROM:<%b>" % path), "501 5.1.7", path)

    def test_parameters(self) -> None:
        """All parameters are understood, in any case and order."""
        argument = b"FROM:<a@b> size=10 BODY=8bitmime smtputf8 RET=hdrs ENVID=x+2By AUTH=<>"
        self.assertEqual(
            mailed(argument), Mail(Address(b"a@b"), 10, "8BITMIME", True, "HDRS", "x+2By")
        )
        self.assertEqual(
            mailed(b"FROM:<> BODY=7BIT RET=FULL"), Mail(Address(b""), None, "7BIT", False, "FULL")
        )

    def test_bad_parameters(self) -> None:
        """A parameter that is malformed or comes twice is 501 (ING-09)."""
        for text in [
            b"SIZE",
            b"SIZE=",
            b"SIZE=-1",
            b"SIZE=x",
            b"SIZE=1e3",
            b"SIZE=" + b"9" * 21,
            b"SIZE=1 SIZE=1",
            b"SIZE=1 size=2",
            b"BODY=",
            b"BODY",
            b"BODY=BINARYMIME",
            b"SMTPUTF8=1",
            b"RET=ALL",
            b"ENVID=",
            b"ENVID=a+2",
            b"ENVID=a+zz",
            b"ENVID=" + b"a" * 101,
            b"=1",
            b"SIZE=1=1",
            b"SIZ\xc3\x89=1",
        ]:
            self.assertEqual(mailed(b"FROM:<a@b> " + text), "501 5.5.4", text)

    def test_huge_size(self) -> None:
        """A size beyond all computers is a number all the same (ING-09)."""
        found = mailed(b"FROM:<a@b> SIZE=9223372036854775808")
        assert isinstance(found, Mail)
        self.assertEqual(found.size, 2**63)

    def test_unknown_parameters(self) -> None:
        """What was not offered is 555 (RFC 5321 4.1.1.11)."""
        for text in [b"REQUIRETLS", b"HOLDFOR=1", b"X"]:
            self.assertEqual(mailed(b"FROM:<a@b> " + text), "555 5.5.4")
        for text in [b"RET=FULL", b"ENVID=x"]:
            self.assertEqual(mailed(b"FROM:<a@b> " + text, dsn=False), "555 5.5.4")
        self.assertEqual(mailed(b"FROM:<a@b> AUTH=<>", auth=False), "555 5.5.4")

    def test_utf8(self) -> None:
        """A UTF-8 address needs SMTPUTF8 (RFC 6531 3.5); what is no UTF-8 is none (ING-03)."""
        path = "FROM:<ü@bücher.example>".encode()
        self.assertEqual(mailed(path), "553 5.6.7")
        found = mailed(path + b" SMTPUTF8")
        assert isinstance(found, Mail)
        self.assertEqual(str(found.sender), "ü@bücher.example")
        self.assertEqual(mailed(b"FROM:<\xff@b> SMTPUTF8"), "501 5.1.7")
        self.assertEqual(mailed("FROM:<a\u2028b@c> SMTPUTF8".encode()), "501 5.1.7")


class RcptCommand(SynchronousTestCase):
    """What follows RCPT."""

    def test_recipient(self) -> None:
        """The forward-path is taken octet for octet; postmaster needs no domain."""
        for path in (b"a@b", b'"a b"@c', b"Postmaster"):
            self.assertEqual(recipient(b"TO:<%b>" % path), Recipient(Address(path)))

    def test_malformed(self) -> None:
        """What has not the form of the command is 501 (ING-04)."""
        for argument in [b"", b"TO", b"TO:", b"TO:<>", b"TO:<a@b>X", b"FROM:<a@b>", b"TO:a@b"]:
            self.assertIn(recipient(argument), {"501 5.5.4", "501 5.1.3"}, argument)

    def test_dsn(self) -> None:
        """NOTIFY and ORCPT are taken where they are offered (RFC 3461)."""
        argument = b"TO:<a@b> NOTIFY=failure,DELAY ORCPT=rfc822;A+2Bx@b"
        self.assertEqual(
            recipient(argument),
            Recipient(Address(b"a@b"), ("FAILURE", "DELAY"), "rfc822;A+2Bx@b"),
        )
        self.assertEqual(recipient(argument, dsn=False), "555 5.5.4")

    def test_bad_dsn(self) -> None:
        """A malformed one is 501 (RFC 3461 5.1)."""
        for text in [
            b"NOTIFY",
            b"NOTIFY=",
            b"NOTIFY=SOMETIMES",
            b"NOTIFY=NEVER,DELAY",
            b"NOTIFY=DELAY,",
            b"NOTIFY=DELAY NOTIFY=FAILURE",
            b"ORCPT=x",
            b"ORCPT",
            b"ORCPT=rfc822;\xc3\xbc@b",
        ]:
            self.assertEqual(recipient(b"TO:<a@b> " + text), "501 5.5.4", text)

    def test_utf8(self) -> None:
        """A UTF-8 address needs SMTPUTF8 with MAIL (RFC 6531 3.5)."""
        path = "TO:<ü@b>".encode()
        self.assertEqual(recipient(path), "553 5.6.7")
        self.assertEqual(recipient(path, smtputf8=True), Recipient(Address("ü@b".encode())))


class OtherCommands(SynchronousTestCase):
    """BDAT and the names after EHLO."""

    def test_chunk(self) -> None:
        """BDAT has a size, and LAST or nothing."""
        self.assertEqual(chunk(b"0"), (0, False))
        self.assertEqual(chunk(b"17 last"), (17, True))
        for argument in [b"x", b"-1", b"1 FIRST", b"1LAST", b"LAST", b"1 LAST x", b"9" * 20]:
            refusal = self.assertRaises(Refusal, chunk, argument)
            self.assertTrue(refusal.fatal, argument)

    def test_no_chunk(self) -> None:
        """BDAT alone announces nothing, so the session can go on (ING-04)."""
        self.assertFalse(self.assertRaises(Refusal, chunk, b"").fatal)

    def test_name(self) -> None:
        """A name is of visible ASCII, however odd (ING-03)."""
        for name in [b"client.example", b"[192.0.2.1]", b"host_name", b"a" * 255, b"(x);"]:
            self.assertEqual(hello_name(name).encode(), name)
        for name in [b"", b"a b", b"a" * 256, b"\xc3\xbc"]:
            self.assertRaises(Refusal, hello_name, name)
