# -*- test-case-name: tests.integration.test_relay_load -*-
"""``twistd relay`` under load, and at its end: memory, many clients, SIGTERM, SIGKILL."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence

from twisted.internet.defer import Deferred, gatherResults

from tests.integration.clients import Finished, smtp_source, swaks
from tests.integration.daemons import DaemonCase
from tests.integration.dialogue import in_thread
from tests.integration.postfix import Postfix
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches
from tests.integration.waiting import until

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
_FROM = ("--from", "s@a.test", "--to", "r@b.test")
_MEGABYTE = 1_000_000

_MESSAGES, _LENGTH = 50, 10 * _MEGABYTE
#: What the relay may take for all of them: blocks of each, and far less than a tenth of them.
_ROOM = 40 * _MEGABYTE


def _replies(address: tuple[str, int], says: Sequence[bytes]) -> bytes:
    """Say something to the relay, wait for its end of the connection, and return all replies."""
    with socket.create_connection(address, 20) as client, client.makefile("rb") as file:
        for each in says:
            client.sendall(each)
        return file.read()


class MemoryTests(DaemonCase):
    """Messages in flight."""

    timeout = 150.0

    async def test_bounded(self) -> None:
        """Fifty messages of 10 MB at once need no more memory than some blocks of each (L6).

        Not of 50 MB, out of regard for disks: all are in files for a while.
        """
        # It reads nothing for a while, so that all fifty are in flight at once.
        sink = self.serve(SmtpSink(Switches(read_data_after=5, dump_each=None, counters=True)))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}:pool_size={_MESSAGES}")
        before = relay.memory()
        finished = await smtp_source(
            relay.port, messages=_MESSAGES, sessions=_MESSAGES, length=_LENGTH, within=120
        )
        self.assertEqual(finished.status, 0, finished.text)
        self.assertEqual(len(relay.events()), _MESSAGES)
        self.assertIn(f"mesg={_MESSAGES}", sink.log())
        self.assertLess(relay.memory() - before, _ROOM)


class EndTests(DaemonCase):
    """The end of a relay that is at work."""

    async def test_terminated(self) -> None:
        """SIGTERM in the middle of a transaction: it ends, its client is told its true outcome, and
        those who are connected for nothing are sent away (OS-01).
        """
        sink = self.serve(SmtpSink(Switches(reply_after=".:2")))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}")
        idle = in_thread(_replies, ("127.0.0.1", relay.port), [b"EHLO idle.test\r\n"])
        sending = swaks(relay.port, *_FROM, octets=_MESSAGE)
        await until(lambda: bool(sink.messages()), "a message that waits for its reply")
        self.assertEqual(relay.events(), [])
        relay.terminate()
        said = await idle
        self.assertTrue(said.endswith(b"421 4.3.2 service is stopping\r\n"), said)
        refused = await swaks(relay.port, *_FROM, octets=_MESSAGE)
        self.assertEqual(refused.status, 2, refused.text)
        finished = await sending
        self.assertEqual(finished.status, 0, finished.text)
        self.assertIn("<-  250 2.0.0 Ok\n", finished.text)
        await until(lambda: not relay.running(), "the end of the relay")
        self.assertIn(" verdict=delivered ", relay.events()[0])
        self.assertEqual(len(sink.messages()), 1)

    async def test_given_up(self) -> None:
        """A transaction that does not end by the limit is given up, with words that say whether the
        message may have been delivered; the process ends all the same (L3).
        """
        sink = self.serve(SmtpSink(Switches(reply_after=".:60")))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}", "--timeout", "stop=1")
        sending = swaks(relay.port, *_FROM, octets=_MESSAGE)
        await until(lambda: bool(sink.messages()), "a message that waits for its reply")
        relay.terminate()
        finished = await sending
        self.assertEqual(finished.status, 26, finished.text)
        self.assertRegex(finished.text, r"<\*\*  ?4[25]1 4\.3\.2 ")
        await until(lambda: not relay.running(), "the end of the relay")
        [event] = relay.events()
        self.assertIn(" verdict=deferred ambiguous=True ", event)

    async def test_killed(self) -> None:
        """After SIGKILL no client was told of a success that was none (L1)."""
        postfix = self.serve(Postfix())
        relay = self.relay(f"smtp:127.0.0.1:port={postfix.port}")
        sending: Deferred[Finished] = smtp_source(
            relay.port, recipient="@b.test", messages=5000, sessions=5, arguments=["-N", "-v"]
        )
        await postfix.arrived(50)
        relay.kill()
        finished = await sending
        self.assertEqual(finished.status, 1)
        told = finished.text.count("queued as")
        self.assertGreater(told, 10)
        await postfix.finished(told, status="sent")
        recipients = Counter(each.recipient for each in postfix.messages())
        self.assertEqual(set(recipients.values()), {1})


class CrowdTests(DaemonCase):
    """Clients that come and go."""

    async def test_client_gone(self) -> None:
        """A client that leaves without its reply: the message goes on, and the log says so
        (ING-18). One that leaves in the middle of its message: nothing goes on.
        """
        sink = self.serve(SmtpSink(Switches(reply_after=".:1")))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}")
        begin = b"EHLO c.test\r\nMAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n"
        for says in (begin + b"Subject: half", begin + _MESSAGE + b".\r\n"):
            with socket.create_connection(("127.0.0.1", relay.port), 20) as client:
                client.sendall(says)
                await in_thread(_read_until, client, b"354")
                if says.endswith(b".\r\n"):
                    await until(lambda: bool(sink.messages()), "the message")
        await until(lambda: len(relay.events()) == 1, "the outcome")
        self.assertIn(" verdict=delivered ambiguous=False client_gone=True ", relay.events()[0])
        self.assertEqual(len(sink.messages()), 1)

    async def test_many(self) -> None:
        """Two hundred clients at once are served, each message once, over twenty connections."""
        sink = self.serve(SmtpSink(Switches(counters=True)))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}")
        sources = [
            smtp_source(relay.port, recipient=f"{n}@b.test", messages=200, sessions=100)
            for n in range(2)
        ]
        for finished in await gatherResults(sources):
            self.assertEqual(finished.status, 0, finished.text)
        recipients = Counter(each.recipients for each in sink.messages())
        self.assertEqual(sorted(recipients.values()), [200, 200])


def _read_until(client: socket.socket, words: bytes) -> None:
    heard = b""
    while words not in heard:
        heard += client.recv(1000)
