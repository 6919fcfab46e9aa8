# -*- test-case-name: tests.test_smtpreply -*-
"""The field that carries an SMTP reply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.reply import Reply
from slimtwist.smtpreply import SmtpReply


class SmtpReplyTests(SynchronousTestCase):
    """C{X-Smtp-Reply} (INJ-12)."""

    def test_parsed(self) -> None:
        """Parameters in any order, quoted or not, with spaces or none."""
        for text, code, message, command in (
            (
                '550; message="5.1.1 No such user"; command="RCPT"',
                550,
                "5.1.1 No such user",
                "RCPT",
            ),
            ('550;command=RCPT;message="5.1.1 a; b"', 550, "5.1.1 a; b", "RCPT"),
            (' 250 ;  MESSAGE = "2.0.0 ok" ', 250, "2.0.0 ok", None),
            ("451", 451, "4.0.0", None),
            (r'550; message="5.1.1 \"a\" \\ \b"', 550, '5.1.1 "a" \\ b', None),
            (r'550; message="\"; command=\"x"', 550, '5.0.0 "; command="x', None),
            ('550; message="a"; message="b"', 550, "5.0.0 a", None),
            ('550; other="x"; message="5.1.1 a"', 550, "5.1.1 a", None),
        ):
            said = SmtpReply.parse(text)
            assert said is not None, text
            told = str(said.reply)[4:]
            self.assertEqual((said.reply.code, told, said.command), (code, message, command), text)

    def test_slimta(self) -> None:
        """What python-slimta writes with wsgiref's Headers.add_header is read."""
        said = SmtpReply.parse('550; message="5.7.1 a\\"b"; command="b\'RCPT\'"')
        assert said is not None
        self.assertEqual(str(said.reply), '550 5.7.1 a"b')

    def test_none(self) -> None:
        """What is not of the form is nothing."""
        for text in (
            "",
            "x",
            "55",
            "5500",
            "550,",
            '550; "x"',
            "550; a=",
            "550 ; a=b c",
            "350; a=b",
        ):
            self.assertIsNone(SmtpReply.parse(text), text)

    def test_written(self) -> None:
        """It is written in ASCII, quoted."""
        reply = Reply.parse('550 5.1.1 no "user" \\ \u00fc')
        self.assertEqual(SmtpReply(reply).format(), '550; message="5.1.1 no \\"user\\" \\\\ ?"')
        self.assertTrue(SmtpReply(reply, "RCPT").format().endswith('; command="RCPT"'))

    @given(st.text(max_size=300), st.sampled_from([250, 450, 550]))
    def test_there_and_back(self, text: str, code: int) -> None:
        """Whatever the text, it comes back in one line of visible ASCII."""
        reply = Reply.received(f"{code} {text}".encode("utf-8", "replace"))
        field = SmtpReply(reply).format()
        self.assertTrue(field.isascii())
        self.assertTrue(field.isprintable())
        back = SmtpReply.parse(field)
        assert back is not None
        self.assertEqual(back.reply.code, code)

    @given(st.text(max_size=100))
    def test_anything(self, text: str) -> None:
        """Nothing that comes raises, and all that comes of it can be shown (HTR-17)."""
        for field in (text, f"550;{text}", f'550; message="{text}"', f'550; command="{text}"'):
            said = SmtpReply.parse(field)
            if said is not None:
                self.assertTrue(f"{said.reply}{said.command}".isprintable())
