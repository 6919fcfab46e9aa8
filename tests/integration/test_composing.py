# -*- test-case-name: tests.integration.test_composing -*-
"""Relays made of relays, as an operator describes them, among real servers and clients."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.integration.daemons import DaemonCase, RelayDaemon, below_trace
from tests.integration.dialogue import Said, in_thread, send, session
from tests.integration.postfix import Postfix
from tests.integration.servers import free_port
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches

_MESSAGE = b"Subject: x\r\n\r\n.\r\nhello\r\n"


def _sent(relay: RelayDaemon, recipient: str, sender: str = "s@a.test") -> Said:
    with session(relay.port) as smtp:
        return send(smtp, sender, [recipient], _MESSAGE)


def _to(server: SmtpSink | Postfix) -> str:
    return f"smtp:127.0.0.1:port={server.port}"


@dataclass(frozen=True)
class _Seen:
    """An attempt in the log."""

    relay: str
    verdict: str

    @classmethod
    def of(cls, line: str) -> _Seen:
        words = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
        return cls(words["relay"], words["verdict"])


class ComposingTests(DaemonCase):
    """``--define``, and what is made of the names."""

    async def test_fallback(self) -> None:
        """Mail that one hop cannot take now is taken by Postfix, octet for octet; the log says who
        it was, and nobody gets it twice.
        """
        busy = self.serve(SmtpSink(Switches(reject_softly=["MAIL"])))
        postfix = self.serve(Postfix())
        relay = self.relay(
            "out",
            *("--define", "out=fallback:gone:busy:postfix"),
            *("--define", f"gone=smtp:127.0.0.1:port={free_port()}"),
            *("--define", f"busy={_to(busy)}"),
            *("--define", f"postfix={_to(postfix)}"),
        )
        said = await in_thread(_sent, relay, "r@far.test")
        self.assertEqual(said[0], 250)
        [message] = await postfix.arrived(1)
        self.assertEqual(below_trace(message.octets), ("ESMTP", _MESSAGE))
        self.assertEqual(busy.messages(), [])
        self.assertEqual(
            [_Seen.of(line) for line in relay.events()], [_Seen("postfix", "delivered")]
        )

    async def test_final(self) -> None:
        """A refusal for good, and a message that may have been taken, go to nobody else (L4)."""
        for switches, code in (
            (Switches(reject_hard=["RCPT"]), 500),
            (Switches(hang_up=["."]), 451),
        ):
            first, second = self.serve(SmtpSink(switches)), self.serve(SmtpSink())
            relay = self.relay(f"fallback:[{_to(first)}]:[{_to(second)}]")
            said = await in_thread(_sent, relay, "r@far.test")
            self.assertEqual(said[0], code)
            self.assertEqual(second.messages(), [])
            [line] = relay.events()
            self.assertEqual(_Seen.of(line).relay, _to(first))

    async def test_routes(self) -> None:
        """Recipients and senders have their ways; a way that several lead to is one."""
        one, two, other = (self.serve(SmtpSink()) for _ in range(3))
        relay = self.relay(
            _to(other),
            *("--define", f"one={_to(one)}", "--define", f"two={_to(two)}"),
            *("--route", "one.test=one", "--route", "*.one.test=one", "--route", "from=s.test=two"),
        )
        for recipient, sender in (
            ("a@one.test", "x@s.test"),
            ("b@x.one.test", "x@a.test"),
            ("c@far.test", "x@s.test"),
            ("d@far.test", "x@a.test"),
        ):
            self.assertEqual((await in_thread(_sent, relay, recipient, sender))[0], 250)
        found = [
            sorted(each.recipients[0] for each in sink.messages()) for sink in (one, two, other)
        ]
        self.assertEqual(
            found, [["<a@one.test>", "<b@x.one.test>"], ["<c@far.test>"], ["<d@far.test>"]]
        )
        names = [_Seen.of(line).relay for line in relay.events()]
        self.assertEqual(names, ["one", "one", "two", _to(other)])

    async def test_limit(self) -> None:
        """Five messages at once, of which two may begin in a second, take two seconds, and all of
        them arrive.
        """
        sink = self.serve(SmtpSink())
        relay = self.relay("limit:sink:rate=2/s", "--define", f"sink={_to(sink)}")
        begun = time.monotonic()
        sending = [in_thread(_sent, relay, f"{each}@far.test") for each in range(5)]
        for each in sending:
            self.assertEqual((await each)[0], 250)
        self.assertGreater(time.monotonic() - begun, 1.9)
        self.assertEqual(len(sink.messages()), 5)
