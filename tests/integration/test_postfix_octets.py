# -*- test-case-name: tests.integration.test_postfix_octets -*-
"""What a real Postfix keeps of a message's octets, and what it alters by itself.

The list of alterations in L{tests.integration.postfix} is what these tests measure: a test that
compares octets must not send such messages, or has to expect what is said here.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.integration.case import ServerCase
from tests.integration.dialogue import in_thread, send, session
from tests.integration.postfix import Postfix

_HEAD = b"Subject: x\r\n\r\n"

_KEPT: Mapping[str, bytes] = {
    "plain": _HEAD + b"hello\r\n",
    "no octets": b"",
    "an empty line": b"\r\n",
    "no body": b"Subject: x\r\nTo: y\r\n",
    "empty lines at the end": _HEAD + b"a\r\n\r\n\r\n",
    "white space": b"Subject: x \t \r\n\r\na  \t\r\n \r\n\r\n",
    "dots": _HEAD + b".\r\n..\r\n.a\r\n...\r\n.\r\n",
    "From in the body": _HEAD + b"From me\r\n>From me\r\n",
    "bare CR": _HEAD + b"a\rb\r\n\rc\r\n",
    "all octets": _HEAD + bytes(set(range(256)) - {10, 13}) + b"\r\n",
    "8 bits in the header": b"Subject: \xc3\xa4\xff\r\nFROM:x  y\r\n\r\n",
    "long lines": _HEAD + b"".join(b"a" * n + b"\r\n" for n in (998, 999, 2047, 2048, 2049, 4096)),
    "a very long line": _HEAD + b"a" * 1_000_000 + b"\r\n",
    "a long header line": b"Subject: "
    + b"x" * 150_000
    + b"\r\nTo: y"
    + b",\r\n y" * 50_000
    + b"\r\n",
    "lines of the envelope": b"Return-Path: <a>\r\nBcc: b\r\nReceived: by x;\r\n\ty\r\n"
    b"Delivered-To: z\r\nX-Original-To: z\r\nResent-Bcc: c\r\nContent-Length: 3\r\n\r\nb\r\n",
    "bad MIME": b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: message/rfc822\r\nno header\r\n\r\n--x--\r\n",
    "a header that folds to nothing": b"Subject: x\r\n\tfold\r\n   \r\n\r\nb\r\n",
}

_ALTERED: Mapping[str, tuple[bytes, bytes]] = {
    "no header": (b"hello there\r\n", b"\r\nhello there\r\n"),
    "white space first": (b"  x\r\nTo: y\r\n", b"\r\n  x\r\nTo: y\r\n"),
    "text in the header": (b"Subject: x\r\ntext\r\n", b"Subject: x\r\n\r\ntext\r\n"),
    "From first": (b"From x\r\nTo: y\r\n", b"X-Mailbox-Line: From x\r\nTo: y\r\n"),
    ">From first": (b">From x\r\nTo: y\r\n", b"X-Mailbox-Line: >From x\r\nTo: y\r\n"),
    "CR before CRLF": (_HEAD + b"a\r\r\r\nb\r\n", _HEAD + b"a\r\nb\r\n"),
    "bare LF": (_HEAD + b"a\nb\r\n", _HEAD + b"a\r\nb\r\n"),
    "NUL in the header": (b"Subject: x\0y\r\n\r\na\r\n", b"Subject: x\r\n\r\na\r\n"),
    "white space before the colon": (b"Subject \t: x\r\n\r\n", b"Subject: x\r\n\r\n"),
}


def _send_all(port: int, messages: Mapping[str, bytes]) -> set[int]:
    with session(port) as smtp:
        return {
            send(smtp, "s@a.test", [f"{number}@b.test"], octets, " BODY=8BITMIME")[0]
            for number, octets in enumerate(messages.values())
        }


def _send_twice(port: int, recipient: str) -> None:
    with session(port) as smtp:
        send(smtp, "s@a.test", [recipient, recipient], _HEAD)


class OctetTests(ServerCase):
    """Messages through a Postfix that keeps them."""

    async def arrive(self, messages: Mapping[str, bytes]) -> dict[str, bytes]:
        """Send messages; return what arrived of each."""
        postfix = self.serve(Postfix())
        self.assertEqual(await in_thread(_send_all, postfix.port, messages), {250})
        arrived = await postfix.arrived(len(messages))
        names = list(messages)
        return {names[int(each.recipient.partition("@")[0])]: each.octets for each in arrived}

    async def test_kept(self) -> None:
        """These messages arrive as they were sent."""
        arrived = await self.arrive(_KEPT)
        self.assertEqual([name for name in _KEPT if arrived[name] != _KEPT[name]], [])

    async def test_altered(self) -> None:
        """These messages are altered by Postfix, each in one way."""
        arrived = await self.arrive({name: sent for name, (sent, _) in _ALTERED.items()})
        self.assertEqual(arrived, {name: kept for name, (_, kept) in _ALTERED.items()})

    async def test_own_header(self) -> None:
        """Four header lines are Postfix's own."""
        postfix = self.serve(Postfix())
        await in_thread(_send_all, postfix.port, {"plain": _KEPT["plain"]})
        [message] = await postfix.arrived(1)
        names = [line.split(b":")[0] for line in message.own.splitlines() if line[:1] != b"\t"]
        expected = [b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received"]
        self.assertEqual(names, expected)

    async def test_loop(self) -> None:
        """A message that says it was delivered to its recipient before is kept none the less."""
        message = b"Delivered-To: 0@b.test\r\n\r\n"
        self.assertEqual(await self.arrive({"loop": message}), {"loop": message})

    async def test_twice(self) -> None:
        """A recipient who is named twice gets one copy."""
        postfix = self.serve(Postfix())
        await in_thread(_send_twice, postfix.port, "r@b.test")
        await self.logged(postfix, ": removed")
        self.assertEqual(len(postfix.messages()), 1)
