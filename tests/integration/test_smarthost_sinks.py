# -*- test-case-name: tests.integration.test_smarthost_sinks -*-
"""C{StaticSmtpRelay} and every fault that smtp-sink can be told to make.

What the relay reports is compared with what the sink has taken: never is a message reported as
delivered that it has not (L1), never is one sent twice, however it ended (L4), and what the relay
cannot know it calls ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping

from slimtwist.limits import Timeouts
from tests.integration.sinks import SmtpSink
from tests.integration.smarthost import MESSAGE, SmarthostCase
from tests.integration.switches import Switches
from tests.integration.waiting import until

_COMMANDS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".")
#: What they are called in outcomes.
_NAMES = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "end of data")
_STAGES = dict(zip(_COMMANDS, _NAMES, strict=True))
_TWO = ("one@b.test", "two@b.test")
_DELIVERED = "delivered at end of data: 250 2.0.0 Ok"
_LOST = "451 4.4.2 connection lost: the peer closed the connection"
_TIMED_OUT = "451 4.4.2 timed out: no answer in time"
_DOUBTFUL = "; the message may be delivered more than once"
#: Larger than what the kernel takes at once, so that a reply can come before its end.
_LARGE = b"Subject: x\r\n\r\n" + (b"x" * 998 + b"\r\n") * 8000


class _SinkCase(SmarthostCase):
    async def outcome(self, switches: Switches, *, octets: bytes = MESSAGE, taken: int) -> str:
        """Send a message to two recipients, to whom the same happens, and then a second one.

        @param taken: how many of the messages the sink is to have, each of them once and whole.
        @return: what became of all of them.
        """
        sink = self.serve(SmtpSink(switches))
        relay = self.to(sink.port)
        first = await self.told(relay, *_TWO, octets=octets)
        second = await self.told(relay, *_TWO, octets=octets)
        self.assertEqual(len({*first, *second}), 1, [switches, *first, *second])
        messages = sink.messages()
        recipients = tuple(f"<{each}>" for each in _TWO)
        got = [(each.octets == octets, each.recipients) for each in messages]
        self.assertEqual(got, [(True, recipients)] * taken, switches)
        return first[0]


class RefusalTests(_SinkCase):
    """Commands that are refused."""

    async def check(self, kind: str, wanted: Mapping[str, str]) -> None:
        """Check the outcome of each refused command. The sink then offers no PIPELINING."""
        for command, outcome in wanted.items():
            switches = Switches(**{kind: [command]})  # type: ignore[arg-type]
            delivered = 2 if command == "." or outcome == _DELIVERED else 0
            self.assertEqual(await self.outcome(switches, taken=delivered), outcome)

    async def test_softly(self) -> None:
        """A 4yz defers, wherever it comes."""
        reply = "450 4.3.0 Error: command failed"
        wanted = {each: f"deferred at {_STAGES[each]}: {reply}" for each in _COMMANDS}
        await self.check("reject_softly", wanted)

    async def test_hard(self) -> None:
        """A 5yz fails where it is about a message, and defers where it is about the session; who
        does not know EHLO is greeted with HELO.
        """
        reply = "500 5.3.0 Error: command failed"
        wanted = {each: f"failed at {_STAGES[each]}: {reply}" for each in _COMMANDS[2:]}
        wanted["CONNECT"] = f"deferred at greeting: 451 4.3.0 greeting refused: {reply}"
        await self.check("reject_hard", wanted | {"EHLO": _DELIVERED})

    async def test_no_hello(self) -> None:
        """Who knows neither EHLO nor HELO gets nothing."""
        text = await self.outcome(Switches(reject_hard=["EHLO", "HELO"]), taken=0)
        wanted = "451 4.3.0 EHLO refused: 500 5.3.0 Error: command failed"
        self.assertEqual(text, f"deferred at EHLO: {wanted}")

    async def test_tidying(self) -> None:
        """A sink that knows no RSET, or hangs up at it, harms no message."""
        for kind in ("reject_hard", "reject_softly", "hang_up", "hang_up_421"):
            switches = Switches(**{kind: ["RSET", "QUIT", "NOOP"]})  # type: ignore[arg-type]
            self.assertEqual(await self.outcome(switches, taken=2), _DELIVERED)
            both = Switches(reject_hard=["RSET", "RCPT"])
            text = await self.outcome(both, taken=0)
            self.assertEqual(text, "failed at RCPT: 500 5.3.0 Error: command failed")

    async def test_no_enhanced_codes(self) -> None:
        """Enhanced codes are supplied where there are none, of the class (OUT-02, OUT-03)."""
        for reply, told in [
            ("550 no", "failed at RCPT: 550 5.0.0 no"),
            ("550 4.1.1 no", "failed at RCPT: 550 5.1.1 no"),
        ]:
            switches = Switches(reject_hard=["RCPT"], hard_reply=reply, without_enhanced_codes=True)
            self.assertEqual(await self.outcome(switches, taken=0), told)


class HangUpTests(_SinkCase):
    """Connections that end, at each point of the dialogue."""

    async def test_hang_up(self) -> None:
        """An end before the end of the message defers; one after it, without a reply, defers and is
        ambiguous: the sink has the message, and it is not sent again (L4).
        """
        for hidden in (False, True):
            for command in _COMMANDS[:-1]:
                switches = Switches(hang_up=[command], without_pipelining=hidden)
                text = await self.outcome(switches, taken=0)
                self.assertEqual(text, f"deferred at {_STAGES[command]}: {_LOST}")
            switches = Switches(hang_up=["."], without_pipelining=hidden)
            text = await self.outcome(switches, taken=2)
            self.assertEqual(text, f"deferred ambiguous at end of data: {_LOST}{_DOUBTFUL}")

    async def test_421(self) -> None:
        """One with 421 defers with these words, and is a clear answer even to the end of data."""
        for hidden in (False, True):
            for command in _COMMANDS:
                switches = Switches(hang_up_421=[command], without_pipelining=hidden)
                text = await self.outcome(switches, taken=2 if command == "." else 0)
                reply = "421 4.0.0 Server closing connection"
                self.assertEqual(text, f"deferred at {_STAGES[command]}: {reply}")

    async def test_dies(self) -> None:
        """A sink that ends with the message in its hand, without a reply: ambiguous."""
        sink = self.serve(SmtpSink(Switches(most_messages=1)))
        text, other = await self.told(self.to(sink.port), *_TWO)
        self.assertEqual(text, f"deferred ambiguous at end of data: {_LOST}{_DOUBTFUL}")
        self.assertEqual((other, len(sink.messages())), (text, 1))

    async def test_idle(self) -> None:
        """A sink that hangs up on an unused connection is connected to anew."""
        sink = self.serve(SmtpSink(Switches(timeout=1)))
        relay = self.to(sink.port)
        self.assertEqual(await self.told(relay), [_DELIVERED])
        await self.logged(sink, "read timeout")
        self.assertEqual(await self.told(relay), [_DELIVERED])
        self.assertEqual(len(sink.messages()), 2)

    async def test_one_by_one(self) -> None:
        """A sink that ends after a QUIT has its messages; nobody waits for the reply to it."""
        sink = self.serve(SmtpSink(Switches(most_quits=1, counters=True)))
        relay = self.to(sink.port)
        self.assertEqual(await self.told(relay), [_DELIVERED])
        await relay.stop()
        await until(lambda: not sink.running(), "the end of smtp-sink")

    async def test_killed(self) -> None:
        """A sink that is killed while it takes a message defers it; nothing was taken."""
        sink = self.serve(SmtpSink(Switches(read_data_after=30)))
        sent = self.sent(self.to(sink.port), "r@b.test", octets=_LARGE)
        await until(lambda: bool(sink.files()), "the beginning of a message")
        sink.stop()
        outcome = await sent
        self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.4.2", False), outcome)


class BodyTests(_SinkCase):
    """Replies that come before their time."""

    async def test_refused_in_the_body(self) -> None:
        """A 5yz before the end of a message that is still being sent refuses it; none is taken, and
        never is the end of data sent.
        """
        text = await self.outcome(Switches(abort_data_after=1), octets=_LARGE, taken=0)
        self.assertEqual(text, "failed at DATA: 550 5.0.0 This violates SMTP")

    async def test_refused_after_the_body(self) -> None:
        """If the message was over by then, this is the reply to its end."""
        text = await self.outcome(Switches(abort_data_after=1), taken=0)
        self.assertEqual(text, "failed at end of data: 550 5.0.0 This violates SMTP")

    async def test_refused_at_once(self) -> None:
        """A 5yz that may come with the 354 is a refusal, or a broken protocol where it came too
        early for one; a success it never is (L1, L12).
        """
        for octets in (MESSAGE, _LARGE):
            sink = self.serve(SmtpSink(Switches(abort_data_after=0)))
            [text] = await self.told(self.to(sink.port), octets=octets)
            violation = "deferred at DATA: 451 4.5.0 protocol error: .*"
            refusal = "failed at (DATA|end of data): 550 5.0.0 This violates SMTP"
            self.assertRegex(text, rf"\A({violation}|{refusal})\Z")
            self.assertEqual(sink.messages(), [])


class SlowTests(_SinkCase):
    """Replies that do not come in time."""

    def slow(self, **switches: int | str) -> SmtpSink:
        """Start a sink that lets its clients wait.

        Without PIPELINING: it would hold back the replies to the commands before, too, or send
        those to the commands behind before.
        """
        made = Switches(without_pipelining=True, **switches)  # type: ignore[arg-type]
        return self.serve(SmtpSink(made))

    async def test_each_command(self) -> None:
        """A wait that passes defers; after the end of data it is ambiguous (L3, L4)."""
        waits = ("greeting", "ehlo", "mail", "rcpt", "data", "final")
        for (command, stage), wait in zip(_STAGES.items(), waits, strict=True):
            sink = self.slow(reply_after=f"{command}:30")
            relay = self.to(sink.port, timeouts=Timeouts(**{wait: 0.4}))
            [text] = await self.told(relay)
            doubt, words = (" ambiguous", _DOUBTFUL) if command == "." else ("", "")
            self.assertEqual(text, f"deferred{doubt} at {stage}: {_TIMED_OUT}{words}")

    async def test_data(self) -> None:
        """So does a wait for the 354, and one for a message to be read."""
        sink = self.slow(reply_to_data_after=30)
        [text] = await self.told(self.to(sink.port, timeouts=Timeouts(data=0.4)))
        self.assertEqual(text, f"deferred at DATA: {_TIMED_OUT}")
        sink = self.slow(read_data_after=30, window=2000)
        relay = self.to(sink.port, timeouts=Timeouts(progress=0.5))
        [outcome] = await self.send(relay, octets=_LARGE)
        self.assertEqual((outcome.command, outcome.ambiguous), ("DATA", False), outcome)
        self.assertEqual((outcome.reply.enhanced, sink.messages()), ("4.4.2", []))

    async def test_pipelined(self) -> None:
        """With PIPELINING the first reply that is missing is the one that is late."""
        sink = self.serve(SmtpSink(Switches(reply_to_data_after=30)))
        [text] = await self.told(self.to(sink.port, timeouts=Timeouts(mail=0.4)))
        self.assertEqual(text, f"deferred at MAIL: {_TIMED_OUT}")

    async def test_in_time(self) -> None:
        """A slow sink that is in time delivers: each reply has a wait of its own."""
        sink = self.slow(reply_after="RCPT:1")
        relay = self.to(sink.port, timeouts=Timeouts(rcpt=2.5))
        texts = await self.told(relay, "a@b.test", "c@b.test", "d@b.test")
        self.assertEqual(texts, [_DELIVERED] * 3)


class FeatureTests(_SinkCase):
    """Old servers, and odd ones."""

    async def test_delivered(self) -> None:
        """Whatever a sink leaves out, greets like, or is slow in taking: messages arrive as they
        are, small and large.
        """
        for switches in (
            Switches(without_esmtp=True),
            Switches(pix=True),
            Switches(without_pipelining=True),
            Switches(without_8bitmime=True),
            Switches(without_enhanced_codes=True),
            Switches(without_dsn=True, without_auth=True),
            Switches(most_connections=1),
            Switches(window=500),
            Switches(read_data_after=1),
        ):
            text = await self.outcome(switches, octets=MESSAGE + b"\xff" * 3 + b"\r\n", taken=2)
            code = "2.0.0"  # which is supplied where there is none
            self.assertEqual(text, f"delivered at end of data: 250 {code} Ok")
        self.assertEqual(
            await self.outcome(Switches(without_esmtp=True), octets=_LARGE, taken=2), _DELIVERED
        )

    async def test_lmtp(self) -> None:
        """By LMTP the same faults have the same outcomes, for each recipient."""
        for switches, told, count in [
            (Switches(lmtp=True), "delivered at end of data: 250 2.2.0 Ok", 1),
            (
                Switches(lmtp=True, hang_up=["."]),
                f"deferred ambiguous at end of data: {_LOST}{_DOUBTFUL}",
                1,
            ),
            (
                Switches(lmtp=True, reject_hard=["LHLO"]),
                "deferred at EHLO: 451 4.3.0 EHLO refused: 500 5.3.0 Error: command failed",
                0,
            ),
            (
                Switches(lmtp=True, reject_softly=["."]),
                "deferred at end of data: 450 4.3.0 Error: command failed",
                1,
            ),
        ]:
            sink = self.serve(SmtpSink(switches))
            texts = await self.told(self.lmtp_to(sink.port), *_TWO)
            self.assertEqual(texts, [told] * 2)
            self.assertEqual(len(sink.messages()), count)
