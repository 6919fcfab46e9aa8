# -*- test-case-name: tests.compare.test_player -*-
"""The server that plays dialogues, against a client that does exactly what its test says."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.dialogue import parse
from tests.compare.player import Player, Stored

_HEAD = "title: t\nsource: s\nright: delivered\n\n"


class PlayerTests(SynchronousTestCase):
    """What is said, and what is noted."""

    def play(self, text: str) -> Player:
        """Return a server that plays this."""
        player = Player(parse("x", _HEAD + text))
        player.__enter__()
        self.addCleanup(player.__exit__)
        return player

    def connect(self, player: Player) -> socket.socket:
        """Return a connection to it, which waits for 10 seconds at most."""
        connection = socket.create_connection(("127.0.0.1", player.port), 10.0)
        self.addCleanup(connection.close)
        return connection

    def said(self, player: Player, *writes: bytes) -> bytes:
        """Connect, write, end; return all that is said."""
        connection = self.connect(player)
        for octets in writes:
            connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        return _rest(connection)

    def test_good(self) -> None:
        """Without an answer of its own a command is answered well, pipelined or not; the message
        is noted without dot stuffing, with those who were accepted.
        """
        player = self.play("RCPT no@: 550 no")
        said = self.said(
            player,
            b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<no@b>\r\nRCPT TO:<yes@b>\r\nDATA\r\n",
            b"x\r\n..\r\n.y\r\n.\r",
            b"\nWHAT\r\nQUIT\r\n",
        )
        codes = [line[:4] for line in said.splitlines()]
        self.assertEqual(
            b"".join(codes), b"220 250-250-250 250 550 250 354 250 500 221 ".replace(b"  ", b" ")
        )
        self.assertEqual(player.record.stored, [Stored(("yes@b",), b"x\r\n.\r\ny\r\n", False)])
        self.assertEqual(player.record.connections, 1)

    def test_refused(self) -> None:
        """A message that the server refuses is noted as refused."""
        player = self.play(".: 451 later")
        self.said(player, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n")
        self.assertEqual(player.record.stored, [Stored(("c@d",), b"", True)])

    def test_no_data(self) -> None:
        """A message is taken behind 354 only, and only when it is complete."""
        player = self.play("DATA: 250 ok")
        self.said(player, b"DATA\r\nx\r\n.\r\n")
        other = self.play("")
        self.said(other, b"DATA\r\nx\r\n")
        self.assertEqual([player.record.stored, other.record.stored], [[], []])

    def test_once(self) -> None:
        """Of several entries each is used once, and the last stays; the longest key counts."""
        player = self.play("RCPT: 250 a\nRCPT: 450 b\nRCPT x@: 550 c")
        said = self.said(player, b"RCPT TO:<a@b>\r\nRCPT TO:<x@b>\r\n", b"RCPT TO:<a@b>\r\n" * 2)
        self.assertEqual(said.splitlines()[1:], [b"250 a", b"550 c", b"450 b", b"450 b"])

    def test_connections(self) -> None:
        """The last script is for all later connections."""
        player = self.play("greeting: 220 a\nconnection 2:\ngreeting: 220 b")
        said = [self.said(player) for _ in range(3)]
        self.assertEqual(said, [b"220 a\r\n", b"220 b\r\n", b"220 b\r\n"])

    def test_transactions(self) -> None:
        """Recipients belong to their transaction."""
        player = self.play("")
        self.said(
            player,
            b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<e@f>\r\n",
            b"DATA\r\n.\r\nRCPT TO:<g@h>\r\nDATA\r\n.\r\n",
        )
        self.assertEqual([each.recipients for each in player.record.stored], [("e@f",), ("g@h",)])

    def test_close(self) -> None:
        """It can end by FIN, also while the client writes; that is no reset."""
        player = self.play("DATA: 354 go on\n  [close]")
        said = self.said(player, b"DATA\r\n", b"x" * 3_000_000)
        self.assertEqual(said, b"220 mx.test ESMTP\r\n354 go on\r\n")

    def test_reset(self) -> None:
        """It can end by RST."""
        player = self.play("greeting: [reset]")
        # It may come as early as the connection is made.
        self.assertRaises(ConnectionResetError, lambda: self.connect(player).recv(1))

    def test_half_close(self) -> None:
        """It can end its own direction and go on reading."""
        player = self.play("MAIL: [half-close]\nDATA: 354 go on")
        connection = self.connect(player)
        connection.sendall(b"MAIL FROM:<a@b>\r\n")
        self.assertEqual(_rest(connection), b"220 mx.test ESMTP\r\n")
        connection.sendall(b"x")

    def test_silence(self) -> None:
        """It can say nothing more, and stay until the client ends."""
        player = self.play("MAIL: [silence]")
        self.assertEqual(
            self.said(player, b"MAIL FROM:<a@b>\r\nNOOP\r\n"), b"220 mx.test ESMTP\r\n"
        )

    def test_forget(self) -> None:
        """It can lose what came together with a command."""
        player = self.play("MAIL: [forget]\n  250 ok")
        connection = self.connect(player)
        self.assertEqual(connection.recv(100), b"220 mx.test ESMTP\r\n")
        connection.sendall(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        self.assertEqual(connection.recv(100), b"250 ok\r\n")
        connection.sendall(b"NOOP\r\n")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(_rest(connection), b"250 2.0.0 ok\r\n")

    def test_slow(self) -> None:
        """It can wait, and send octet by octet; at the end nothing of it goes on."""
        player = self.play("greeting: [wait 0.01]\n  [drip 0.01]\n  220 ab")
        connection = self.connect(player)
        self.assertEqual(connection.recv(100), b"2")
        self.assertEqual(_rest_until(connection, b"\n"), b"20 ab\r\n")

    def test_transcript(self) -> None:
        """What was said is kept, with the number of the connection."""
        player = self.play("")
        self.said(player, b"DATA\r\nx\r\n.\r\n")
        self.assertEqual(
            player.record.transcript,
            [
                "1 S: 220 mx.test ESMTP",
                "1 C: DATA",
                "1 S: 354 go on",
                "1 C: (3 octets)",
                "1 S: 250 2.0.0 ok",
            ],
        )


def _rest(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _rest_until(connection: socket.socket, end: bytes) -> bytes:
    octets = b""
    while not octets.endswith(end):
        octets += connection.recv(65536)
    return octets
