# -*- test-case-name: tests.integration.test_relay_octets -*-
"""What goes into ``twistd relay`` comes out of it, octet for octet, below one trace field (L8).

A thousand messages go to a Postfix, by STARTTLS and AUTH, each beginning with a header that Postfix
keeps as it is. Those that Postfix alters by itself go to an smtp-sink and to a Dovecot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from twisted.internet.defer import gatherResults

from tests.integration.certificates import Authority
from tests.integration.daemons import DaemonCase, below_trace
from tests.integration.dialogue import in_thread, send, session
from tests.integration.dovecot import Dovecot, User
from tests.integration.postfix import Postfix
from tests.integration.setups import Setup
from tests.integration.sinks import SmtpSink

_HEAD = b"Subject: x\r\n\r\n"
_SESSIONS = 4
#: Every octet but CR and LF, which may stand together only.
_OCTETS = bytes(set(range(256)) - {10, 13})
#: Sizes at which blocks, buffers and files of the relay begin and end.
_SIZES = (*range(20), *range(65_500, 65_560), 131_071, 131_072, 131_073, 262_144)
_LINES = (77, 998, 999, 1000, 2047, 2048, 2049, 65_535, 65_536, 65_537)


def _sized(size: int) -> bytes:
    """Return a message with a body of so many octets, in lines."""
    body = (b"x" * 70 + b"\r\n") * (size // 72 + 1)
    # A message ends with a line end, and none may be cut in two.
    return _HEAD + body[: max(size - 2, 0)].rstrip(b"\r") + b"\r\n"


def _dotted(random: Random, size: int) -> bytes:
    """Return a message of short lines, of which most begin with dots."""
    pieces = (b".", b"..", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"x")
    return _HEAD + b"".join(random.choices(pieces, k=size)) + b"\r\n"


def _noise(random: Random, size: int) -> bytes:
    """Return a message of any octets."""
    lines = (bytes(random.choices(_OCTETS, k=random.randrange(200))) for _ in range(size // 100))
    return _HEAD + b"\r\n".join(lines) + b"\r\n"


def _thousand() -> list[bytes]:
    """Return messages of every size and kind; the same each time."""
    random = Random(2)
    messages = [_sized(size) for size in _SIZES]
    messages += [_HEAD + b"y" * length + b"\r\nz\r\n" for length in _LINES]
    messages += [
        _HEAD + b".\r\n" * 30_000,
        _HEAD + b"\r\n" * 30_000,
        _HEAD + b"." * 70_000 + b"\r\n",
    ]
    messages += [b"", b"\r\n", b"Subject: x\r\n", b"Subject: x\r\n\r\n", b"\r\n.\r\n"]
    messages += [_noise(random, size) for size in (1_000_000, 2_000_000)]
    messages += [_sized(size) for size in (1_000_000, 3_000_001, 5_000_000)]
    messages += [_dotted(random, random.randrange(30_000)) for _ in range(50)]
    while len(messages) < 1000:
        messages.append(_noise(random, random.randrange(3000)))
        messages.append(_dotted(random, random.randrange(300)))
    return messages[:1000]


#: What Postfix would alter.
_ODD: Mapping[str, bytes] = {
    "no header": b"hello there\r\n",
    "a dot": b".\r\n",
    "dots": b"..\r\n.\r\n.a\r\n",
    "white space first": b"  x\r\nTo: y\r\n",
    "a fold first": b"\tby relay.test\r\n\r\n",
    "text in the header": b"Subject: x\r\ntext\r\n",
    "From first": b"From x\r\nTo: y\r\n",
    ">From first": b">From x\r\nTo: y\r\n",
    "NUL in the header": b"Subject: x\0y\r\n\r\na\r\n",
    "white space before the colon": b"Subject \t: x\r\n\r\n",
    "all octets": _OCTETS + b"\r\n",
    "8 bits only": b"\xff" * 70_000 + b"\r\n",
    "header fields of the trace": b"Received: by x;\r\n\ty\r\nReturn-Path: <a>\r\n\r\n",
}


def _send_each(port: int, messages: Sequence[tuple[int, bytes]]) -> list[int]:
    """Send messages over one connection, each to a recipient of its own; return the codes."""
    with session(port) as smtp:
        return [
            send(smtp, "s@a.test", [f"m{number}@far.test"], octets, " BODY=8BITMIME")[0]
            for number, octets in messages
        ]


def _send_to_one(port: int, messages: Sequence[bytes]) -> list[int]:
    with session(port) as smtp:
        return [send(smtp, "s@a.test", ["one@b.test"], octets)[0] for octets in messages]


class PostfixTests(DaemonCase):
    """A thousand messages."""

    timeout = 120.0

    async def test_thousand(self) -> None:
        """Of a thousand messages of 0 octets to 5 MB each arrives once, as it was sent (MSG-02 to
        MSG-06).
        """
        authority = Authority()
        setup = Setup(certificate=authority.certificate("127.0.0.1"), accounts={"alice": "secret"})
        postfix = self.serve(Postfix(setup))
        relay = self.relay(self.submission(authority, postfix.port, "alice:secret"))
        messages = _thousand()
        numbered = list(enumerate(messages))
        parts = [numbered[start::_SESSIONS] for start in range(_SESSIONS)]
        codes = await gatherResults(in_thread(_send_each, relay.port, part) for part in parts)
        self.assertEqual({code for part in codes for code in part}, {250})
        arrived = await postfix.arrived(len(messages), within=60)
        self.assertEqual(len(arrived), len(messages))
        wrong = [
            each.recipient
            for each in arrived
            if below_trace(each.octets)[1] != messages[int(each.recipient[1:].split("@")[0])]
        ]
        self.assertEqual(wrong, [])
        self.assertEqual(len({each.recipient for each in arrived}), len(messages))
        self.assertEqual(len(relay.events()), len(messages))


class OddTests(DaemonCase):
    """Messages that Postfix would alter, to servers that do not."""

    async def test_sink(self) -> None:
        """They reach an smtp-sink as they were sent (MSG-04, MSG-05)."""
        sink = self.serve(SmtpSink())
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}")
        codes = await in_thread(_send_each, relay.port, list(enumerate(_ODD.values())))
        self.assertEqual(codes, [250] * len(_ODD))
        arrived = {each.recipients[0]: below_trace(each.octets)[1] for each in sink.messages()}
        got = {name: arrived[f"<m{number}@far.test>"] for number, name in enumerate(_ODD)}
        self.assertEqual(got, dict(_ODD))

    async def test_dovecot(self) -> None:
        """Below a header, they reach a Dovecot, too, that a Postfix hands them to by LMTP."""
        dovecot = self.serve(Dovecot([User("one")]))
        postfix = self.serve(Postfix(Setup(relay_to=f"lmtp:unix:{dovecot.socket}")))
        relay = self.relay(f"smtp:127.0.0.1:port={postfix.port}")
        octets = [_HEAD + each for each in _ODD.values()]
        self.assertEqual(await in_thread(_send_to_one, relay.port, octets), [250] * len(octets))
        await postfix.finished(len(octets), status="sent")
        got = [below_trace(each.octets)[1] for each in dovecot.messages("one")]
        self.assertEqual(sorted(got), sorted(octets))

    async def test_bare_line_ends(self) -> None:
        """A CR or LF alone is refused at the edge; nothing of such a message goes on (SMI)."""
        sink = self.serve(SmtpSink())
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}")
        for octets in (b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"x\n.\nMAIL FROM:<evil@a.test>\r\n"):
            [code] = await in_thread(_send_each, relay.port, [(1, octets)])
            self.assertEqual(code, 521)
        self.assertEqual((sink.messages(), relay.events()), ([], []))
