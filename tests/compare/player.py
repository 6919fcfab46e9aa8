# -*- test-case-name: tests.compare.test_player -*-
"""A server on loopback that plays a L{Dialogue}, and notes what it was given.

It shares nothing with the clients that it is played to: sockets and threads of the standard library
only.  It takes what any client may send, pipelined or not, in its own reading of RFC 5321.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from tests.compare.dialogue import Dialogue, Script, Step

_GOOD: Final = {
    "greeting": b"220 mx.test ESMTP",
    "EHLO": b"250-mx.test\r\n250-PIPELINING\r\n250 8BITMIME",
    "DATA": b"354 go on",
    "QUIT": b"221 2.0.0 bye",
    "?": b"500 5.5.1 unknown command",
}
_KNOWN: Final = frozenset({"EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"})
#: How long the end of a client is waited for, in seconds, when the server has ended.
_PATIENCE: Final = 5.0
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """A complete message, as it came.

    @ivar recipients: those whose RCPT got a 2yz.
    @ivar octets: without dot stuffing.
    @ivar refused: whether the answer to its end began with 4 or 5.
    """

    recipients: tuple[str, ...]
    octets: bytes
    refused: bool


@dataclass(slots=True)
class Record:
    """What a server was given.

    @ivar connections: how many there were.
    @ivar stored: the messages.
    @ivar transcript: what was said, but for the messages, with the number of the connection.
    """

    connections: int = 0
    stored: list[Stored] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)


class _OverError(Exception):
    """The server says no more on this connection."""


class Player:
    """Listens while it is entered.

    @ivar port: on 127.0.0.1.
    @ivar record: what it was given so far.
    """

    def __init__(self, dialogue: Dialogue) -> None:
        """Prepare to play a dialogue."""
        self._scripts = dialogue.scripts
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.record = Record()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all connections."""
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.record.connections += 1
                number = self.record.connections
                script = self._scripts[min(number, len(self._scripts)) - 1]
                conversation = _Conversation(connection, script, self.record, number)
                self._open.append(connection)
                self._threads.append(threading.Thread(target=conversation.run, daemon=True))
                self._threads[-1].start()


class _Conversation:
    """One connection."""

    def __init__(
        self, connection: socket.socket, script: Script, record: Record, number: int
    ) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._inbox = bytearray()
        self._answers = {key: list(answers) for key, answers in script.items()}
        self._record = record
        self._number = number
        self._recipients: list[str] = []

    def run(self) -> None:
        """Play to the end."""
        with self._connection, suppress(_OverError, OSError):
            self._answer("greeting", "greeting")
            while line := self._line():
                self._hear(line.decode("utf-8", "backslashreplace").strip())

    def _line(self) -> bytes:
        """Return the next line; at the end what is left, and then nothing."""
        while (end := self._inbox.find(b"\n") + 1) == 0:
            octets = self._connection.recv(65536)
            if not octets:
                end = len(self._inbox)
                break
            self._inbox += octets
        line = bytes(self._inbox[:end])
        del self._inbox[:end]
        return line

    def _hear(self, line: str) -> None:
        self._note("C", line)
        word = line.partition(" ")[0].upper()
        said = self._answer(word if word in _KNOWN else "?", line)
        if word in {"MAIL", "RSET", "EHLO", "HELO"}:
            self._recipients.clear()
        elif word == "RCPT" and said.startswith(b"2"):
            self._recipients.append(line.partition("<")[2].partition(">")[0])
        elif word == "DATA" and said.startswith(b"354"):
            self._take()
        elif word == "QUIT":
            self._end()

    def _take(self) -> None:
        """Take a message, and answer to its end."""
        octets = b"".join(self._body())
        answer = self._chosen(".", ".")
        refused = _first(answer).startswith((b"4", b"5"))
        self._note("C", f"({len(octets)} octets)")
        self._record.stored.append(Stored(tuple(self._recipients), octets, refused))
        self._recipients.clear()
        self._play(answer)

    def _body(self) -> Iterator[bytes]:
        """Yield the lines of a message (RFC 5321 4.5.2)."""
        while (line := self._line()) != b".\r\n":
            if not line:
                raise _OverError
            yield line[1:] if line.startswith(b".") else line

    def _answer(self, key: str, line: str) -> bytes:
        """Answer, and return the first octets of it."""
        answer = self._chosen(key, line)
        self._play(answer)
        return _first(answer)

    def _chosen(self, key: str, line: str) -> Sequence[Step]:
        fitting = [each for each in self._answers if _fits(each, key, line)]
        if not fitting:
            return [Step("say", _GOOD.get(key, b"250 2.0.0 ok") + b"\r\n")]
        answers = self._answers[max(fitting, key=len)]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _play(self, steps: Sequence[Step]) -> None:
        pause = 0.0
        for step in steps:
            match step.action:
                case "say":
                    self._send(step.octets, pause)
                case "wait":
                    time.sleep(step.seconds)
                case "drip":
                    pause = step.seconds
                case "half-close":
                    self._connection.shutdown(socket.SHUT_WR)
                case "close":
                    self._end()
                case "reset":
                    self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    raise _OverError
                case "forget":
                    self._inbox.clear()
                case "silence":
                    self._drain()

    def _send(self, octets: bytes, pause: float) -> None:
        self._note("S", octets.decode("utf-8", "backslashreplace").rstrip())
        if not pause:
            self._connection.sendall(octets)
            return
        for octet in octets:
            self._connection.sendall(bytes([octet]))
            time.sleep(pause)

    def _end(self) -> None:
        """Send FIN, and wait for the other side's: what it still sends must not become a RST."""
        self._connection.shutdown(socket.SHUT_WR)
        self._connection.settimeout(_PATIENCE)
        self._drain()

    def _drain(self) -> None:
        while self._connection.recv(65536):
            pass
        raise _OverError

    def _note(self, who: str, text: str) -> None:
        self._record.transcript.append(f"{self._number} {who}: {text}")


def _fits(entry: str, key: str, line: str) -> bool:
    word, _, text = entry.partition(" ")
    return word == key and text in line


def _first(answer: Sequence[Step]) -> bytes:
    return next((step.octets for step in answer if step.action == "say"), b"")
