# -*- test-case-name: tests.test_sending -*-
"""Whatever an application sends goes out as it meant it, and it learns what became of it."""

from __future__ import annotations

import subprocess
import sys
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTPUTF8
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

import slimtwist
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import PermanentRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.sending import make_envelope, send
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay
from tests.daemon import environment

OCTETS = b"Subject: x\r\n\r\nx\r\n"


def message(text: str = "hello\n", **fields: str) -> EmailMessage:
    """Return a message from me to you, but for what the fields say."""
    made = EmailMessage()
    fields = {"From": "me@example.org", "To": "you@example.net", "Subject": "hello", **fields}
    for name, value in fields.items():
        if value:
            made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


def octets_of(made: Message[Any, Any]) -> bytes:
    """Return what is sent of a message."""
    return bytes(make_envelope("a@b", ["c@d"], made).content)


def wrong(
    sender: str | None, recipients: list[str] | None, made: Message[Any, Any] | Content | bytes
) -> str:
    """Return what is said of what cannot be sent."""
    try:
        make_envelope(sender, recipients, made)
    except ValueError as error:
        return str(error)
    return "nothing"


@implementer(IRelay)
class Odd:
    """A relay that breaks its promises."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Raise, or return whatever it was made with."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[return-value]

    def stop(self) -> Deferred[None]:
        """Be done."""
        return succeed(None)


class ReportTests(SynchronousTestCase):
    """What the application gets."""

    def setUp(self) -> None:
        """Begin with a clock."""
        self.reactor = MemoryReactor()
        self.runtime = Runtime(self.reactor)

    def send(self, relay: IRelay, *recipients: str, **options: Any) -> Deferred[Report]:  # noqa: ANN401 - of send
        """Send a message."""
        return send(relay, "a@b", recipients, OCTETS, runtime=self.runtime, **options)

    def test_outcomes(self) -> None:
        """There is an outcome for each recipient, in their order (L11)."""
        relay = MemoryRelay({"d@e": "550 5.1.1 unknown", "f@g": "450 4.7.1 greylisted"})
        report = self.successResultOf(self.send(relay, "b@c", "d@e", "f@g", "d@e"))
        self.assertEqual([each.reply.code for each in report], [250, 550, 450, 550])
        self.assertEqual(relay.made[0].attempts, 0)

    def test_one_for_all(self) -> None:
        """An error that holds for all is a report like any other."""
        error = PermanentRelayError(Outcome.of(Reply.parse("552 5.3.4 too long")))
        report = self.successResultOf(self.send(Odd(error), "b@c", "d@e"))
        self.assertEqual([*report], [error.outcome] * 2)

    def test_broken_relay(self) -> None:
        """What a relay raises, or returns instead of a report, is transient, and nobody knows what
        was sent (L2, L3).
        """
        for answer in (ZeroDivisionError(), succeed(Report(())), None):
            [outcome] = self.successResultOf(self.send(Odd(answer), "b@c"))
            self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.3.0", True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_deadline(self) -> None:
        """It fires in time, which is half an hour and a minute for each recipient (L3)."""
        for options, seconds in (({}, 1800.0 + 2 * 60), ({"seconds": 7.0}, 7.0)):
            sending = self.send(MemoryRelay(hold=True), "b@c", "d@e", **options)
            self.reactor.advance(seconds - 0.1)
            self.assertNoResult(sending)
            self.reactor.advance(0.2)
            report = self.successResultOf(sending)
            self.assertEqual([each.reply.enhanced for each in report], ["4.4.7"] * 2)
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_cancel(self) -> None:
        """Cancelling ends the attempt, and it fires with what is known (L3, L4)."""
        relay = MemoryRelay(hold=True)
        sending = self.send(relay, "b@c")
        relay.made[0].ambiguous = True
        sending.cancel()
        [outcome] = self.successResultOf(sending)
        self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.3.2", True))
        self.assertTrue(relay.made[0].cancelled)

    def test_wrong(self) -> None:
        """What cannot be sent fails it, and nothing is sent."""
        relay = MemoryRelay()
        for recipients, text in (((), "at least one"), (("x",), "local-part@domain")):
            failure = self.failureResultOf(self.send(relay, *recipients), ValueError)
            self.assertIn(text, str(failure.value))
        self.assertEqual(relay.made, [])

    def test_smarthost(self) -> None:
        """Through a real relay, the host gets what was written, and is told what it has to know."""
        host = FakeSmarthost()
        self.reactor.add_host("smarthost.example", host)
        relay = StaticSmtpRelay("smarthost.example", runtime=self.runtime)
        made = message("\u00e9\n.\n")
        report = self.reactor.wait(send(relay, None, None, made, runtime=self.runtime))
        self.assertEqual([each.reply.code for each in report], [250])
        self.assertEqual(host.messages[0].recipients, ("you@example.net",))
        self.assertEqual(host.messages[0].octets, octets_of(made))
        self.assertIn("BODY=8BITMIME", " ".join(host.transcript))
        self.assertNotIn("MAIL FROM:<me@example.org> SMTPUTF8", " ".join(host.transcript))
        self.reactor.wait(relay.stop())

    def test_default_clock(self) -> None:
        """Without a runtime the clock is the process's; no name is looked up for it."""
        [outcome] = self.successResultOf(slimtwist.send(MemoryRelay(), "a@b", ["c@d"], OCTETS))
        self.assertEqual(outcome.reply.code, 250)


class OctetTests(SynchronousTestCase):
    """What is sent of a message."""

    def test_lines(self) -> None:
        """Lines end with CRLF, whatever the message's policy says; none of them is changed (L8)."""
        made = message("From me\n.\n..\nx")
        header, _, body = octets_of(made).partition(b"\r\n\r\n")
        self.assertEqual(body, b"From me\r\n.\r\n..\r\nx\r\n")
        self.assertIn(b"From: me@example.org\r\nTo: you@example.net\r\nSubject: hello", header)

    def test_older_message(self) -> None:
        """A message of the older kind is sent as well, and no C{From} in it gets a C{>}."""
        made = MIMEText("From me\nto you\n")
        made["To"] = "you@example.net"
        self.assertTrue(octets_of(made).endswith(b"\r\n\r\nFrom me\r\nto you\r\n"))
        self.assertEqual(make_envelope("", None, made).recipients[0].address.domain, "example.net")

    def test_blind_copies(self) -> None:
        """Nobody reads who else got a copy, also when the recipients are named; the object keeps
        all its fields.
        """
        made = message(Bcc="secret@example.net", Resent_Bcc="hidden@example.net")
        for recipients in (None, ["you@example.net"]):
            octets = bytes(make_envelope(None, recipients, made).content)
            self.assertNotIn(b"secret", octets)
            self.assertNotIn(b"hidden", octets)
        self.assertEqual(made["Bcc"], "secret@example.net")

    def test_unchanged(self) -> None:
        """The message object is as before, also when it has parts."""
        made = MIMEMultipart(_subparts=[MIMEText("a"), MIMEApplication(b"\0b")])
        made["Bcc"] = "x@y"
        before = made.items()
        for _ in range(2):
            self.assertIn(b"Content-Type: application/octet-stream\r\n", octets_of(made))
        self.assertEqual(made.items(), before)

    def test_words(self) -> None:
        """Words of any script stand in an ASCII header, so that each host takes it, also where the
        message's policy would have them as they are; the body is 8-bit.
        """
        made = message("\u00e9\n", Subject="\u00e9", To="\u00c9va <you@example.net>")
        for each in (made, _with_policy(made, SMTPUTF8)):
            envelope = make_envelope(None, None, each)
            self.assertTrue(envelope.content.eight_bit)
            self.assertFalse(envelope.content.eight_bit_header)
            self.assertEqual((envelope.body, envelope.smtputf8), ("8BITMIME", False))
            self.assertFalse(envelope.needs_smtputf8)

    def test_addresses(self) -> None:
        """An address that is not ASCII has no other form: the header is UTF-8 (RFC 6532)."""
        for name in ("To", "Reply-To", "Cc"):
            made = message(**{name.replace("-", "_"): "\u00e9va@example.net", "Subject": "\u00e9"})
            envelope = make_envelope("a@b", ["c@d"], made)
            self.assertTrue(envelope.needs_smtputf8, name)
            self.assertIn(f"{name}: \u00e9va@example.net\r\n".encode(), bytes(envelope.content))

    def test_attached_address(self) -> None:
        """So it is with an address in a message that is attached."""
        made = message()
        made.add_attachment(message(To="\u00e9va@example.net"))
        self.assertIn("To: \u00e9va@example.net\r\n".encode(), octets_of(made))

    def test_ascii(self) -> None:
        """What is ASCII asks for nothing."""
        envelope = make_envelope(None, None, message())
        self.assertEqual((envelope.body, envelope.smtputf8), (None, False))

    def test_binary(self) -> None:
        """What would be changed by the writing is refused (L8)."""
        made = message()
        made.add_attachment(b"a\nb\r", "application", "octet-stream", cte="binary")
        self.assertEqual(
            wrong(None, None, made), "a part of the message is binary; encode it as base64"
        )

    def test_unwritable(self) -> None:
        """What cannot be written is an error that says so."""
        made = message()
        made.set_payload(7)  # type: ignore[call-overload]
        self.assertIn("the message cannot be written: ", wrong(None, None, made))

    def test_octets(self) -> None:
        """Octets and contents go out as they are; bare line ends are refused (L8)."""
        octets = b"Bcc: x@y\r\nSubject: \xe9\r\n\r\n\xe9"
        for given in (octets, Content.of(octets)):
            envelope = make_envelope("a@b", ["c@d"], given)
            self.assertEqual(bytes(envelope.content), octets)
            self.assertEqual((envelope.body, envelope.smtputf8), ("8BITMIME", True))
        self.assertIn("stands alone", wrong("a@b", ["c@d"], b"Subject: x\n\nx\n"))

    def test_text(self) -> None:
        """A text is no message: nobody has said which octets it stands for."""
        text = "Subject: x\r\n\r\nx\r\n"
        said = wrong("a@b", ["c@d"], text)  # type: ignore[arg-type]
        self.assertIn("the message is a str; write an EmailMessage", said)


class WhoTests(SynchronousTestCase):
    """Sender and recipients."""

    def who(
        self, made: EmailMessage, sender: str | None = None, recipients: list[str] | None = None
    ) -> tuple[str, list[str]]:
        """Return the sender and the recipients."""
        envelope = make_envelope(sender, recipients, made)
        return str(envelope.sender), [str(each.address) for each in envelope.recipients]

    def test_named(self) -> None:
        """Who is named counts, whatever the header says; an empty sender is none."""
        made = message(Bcc="c@d")
        self.assertEqual(self.who(made, "", ["e@f", "e@f"]), ("", ["e@f", "e@f"]))

    def test_header(self) -> None:
        """Who is not named is of the header; nobody gets it twice."""
        made = message(
            To='Ann <a@b>, Team: "x y"@b, c@d;', Cc="a@b, e@f", Bcc="g@h", Sender="s@example.org"
        )
        wanted = ["a@b", '"x y"@b', "c@d", "e@f", "g@h"]
        self.assertEqual(self.who(made), ("s@example.org", wanted))
        self.assertEqual(self.who(message()), ("me@example.org", ["you@example.net"]))

    def test_resent(self) -> None:
        """In a message that was resent, only those fields count (RFC 5322 3.6.6)."""
        fields = {"Resent_From": "r@s", "Resent_To": "t@u", "Resent_Bcc": "v@w"}
        made = message(Bcc="x@y", Resent_Date="Mon, 23 Nov 2026 00:00:00 +0000", **fields)
        self.assertEqual(self.who(made), ("r@s", ["t@u", "v@w"]))
        made["Resent-Date"] = "Tue, 24 Nov 2026 00:00:00 +0000"
        self.assertIn("more than once", wrong(None, None, made))
        self.assertIn("more than once", wrong("a@b", None, made))

    def test_wrong_header(self) -> None:
        """A header that leaves it open, or holds more than is understood, is an error: nobody is
        left out in silence (L2).
        """
        for fields, text in (
            ({"From": ""}, "From has 0 addresses"),
            ({"From": "a@b, c@d"}, "From has 2 addresses, and a message has one sender"),
            ({"To": "a@b; c@d"}, "To is not a list of addresses: 'a@b"),
            ({"To": "a b@c"}, "To is not a list of addresses: '\"a b\"@c'"),
            ({"Cc": "a@b c@d"}, "Cc is not a list of addresses: 'a@b"),
            ({"To": "<>"}, "To is not a list of addresses: '<>'"),
            ({"To": "undisclosed-recipients:;"}, "at least one recipient"),
        ):
            self.assertIn(text, wrong(None, None, message(**fields)))

    def test_one_text(self) -> None:
        """One text is not a list of one: its letters would be the recipients."""
        self.assertIn("not one text", wrong("a@b", "c@d", message()))  # type: ignore[arg-type]

    def test_octets(self) -> None:
        """Octets are not read."""
        for sender, recipients in ((None, ["c@d"]), ("a@b", None)):
            self.assertIn("message object only", wrong(sender, recipients, OCTETS))

    def test_injection(self) -> None:
        """No address can hold a line of its own (L5)."""
        for bad in ("a@b\r\nRCPT TO:<x@y>", "a@b> SIZE=1", "Ann <a@b>"):
            self.assertIn("local-part@domain", wrong(bad, ["c@d"], message()))
            self.assertIn("local-part@domain", wrong("a@b", [bad], message()))


class ImportTests(SynchronousTestCase):
    """C{import slimtwist} costs nothing."""

    def test_lazy(self) -> None:
        """Nothing is loaded before C{send} is wanted, and no reactor is installed even then."""
        code = (
            "import sys, slimtwist; assert 'twisted' not in sys.modules; "
            "assert slimtwist.send is slimtwist.sending.send; "
            "assert 'twisted.internet.reactor' not in sys.modules; print('good')"
        )
        said = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((said.stdout, said.stderr), ("good\n", ""))

    def test_nothing_else(self) -> None:
        """What is not there is not there."""
        self.assertRaises(AttributeError, getattr, slimtwist, "sned")


def _with_policy(made: EmailMessage, policy: Any) -> EmailMessage:  # noqa: ANN401 - any policy
    made.policy = policy
    return made
