# -*- test-case-name: tests.integration.test_corpus -*-
"""Real messages go into ``twistd relay`` by ESMTP, and out of it by each of its five ways (MSG-11).

Below the trace field of the relay, every message is what its client sent, octet for octet. The
client is Python's, and the next hops are programs of others.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import maildir
from tests.integration.certificates import Authority
from tests.integration.corpus import CorpusMissingError, alone, mails, native
from tests.integration.daemons import DaemonCase, RelayDaemon, below_trace
from tests.integration.dialogue import Said, in_thread, send, session
from tests.integration.dovecot import Dovecot, User
from tests.integration.names import Nsd, Unbound
from tests.integration.postfix import Postfix
from tests.integration.programs import require_root
from tests.integration.servers import NOBODY
from tests.integration.setups import Setup
from tests.integration.sinks import SmtpSink, Taken
from tests.integration.web import WebDaemon, below_traces

_HEADER = re.compile(rb"\A(?:[!-9;-~]+:.*\r\n(?:[ \t].*\r\n)*)*")


def _kept_by_postfix(octets: bytes) -> bytes:
    """Return what Postfix keeps of a message: with an empty line behind the header."""
    body = _HEADER.sub(b"", octets, count=1)
    if not body or body.startswith(b"\r\n"):
        return octets
    return octets.removesuffix(body) + b"\r\n" + body


def _send_each(port: int, domain: str, messages: Sequence[bytes]) -> list[Said]:
    with session(port) as smtp:
        return [
            send(smtp, "s@a.test", [f"m{number}@{domain}"], _ended(octets), " BODY=8BITMIME")
            for number, octets in enumerate(messages)
        ]


def _refused(port: int, octets: bytes) -> tuple[Said, bytes]:
    """Send one message; return the reply, and what comes after it."""
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=20.0) as smtp:
        smtp.ehlo()
        said = send(smtp, "s@a.test", ["r@b.test"], _ended(octets))
        after = cast("socket.socket", smtp.sock).recv(1)
        smtp.close()
        return said, after


def _ended(octets: bytes) -> bytes:
    """Return a message with the line end that stands before the end of data (RFC 5321 4.1.1.4)."""
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def _local(taken: Taken) -> str:
    """Return the local part of the recipient."""
    return taken.recipients[0][1:].partition("@")[0]


def _storing(folder: Path) -> str:
    """Return the relay to a program that stores a message under its recipient's local part."""
    return f"""pipe:command=sh -c 'cat > "$1"' sh {{localpart}}:directory={folder}:user=nobody"""


class CorpusCase(DaemonCase):
    """Has the messages.

    @ivar messages: by name, with CRLF line ends.
    """

    timeout = 60.0

    def setUp(self) -> None:
        """Read them."""
        super().setUp()
        self.messages = {name: native(octets) for name, octets in mails().items()}

    def folder(self, *folders: str, **files: str) -> Path:
        """Return a new folder that is nobody's, with folders and files."""
        require_root("A program that runs as nobody")
        top = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, top)
        for name in folders:
            (top / name).mkdir()
        for name, text in files.items():
            (top / name).write_text(text)
            (top / name).chmod(0o600)
        for path in (top, *top.iterdir()):
            shutil.chown(path, NOBODY, NOBODY)
        return top

    async def deliver(self, relay: RelayDaemon, domain: str = "far.test") -> None:
        """Send each message to a recipient of its own, m0, m1 ..., and see that all are taken."""
        said = await in_thread(_send_each, relay.port, domain, list(self.messages.values()))
        self.assertEqual([each for each in said if each[0] != 250], [])

    def compare(
        self, arrived: Mapping[str, bytes], alter: Callable[[bytes], bytes] = lambda octets: octets
    ) -> None:
        """See that exactly these messages arrived, as they were sent.

        @param arrived: by the local part of the recipient.
        @param alter: what the next hop does to a message by itself.
        """
        names = {f"m{number}": name for number, name in enumerate(self.messages)}
        self.assertEqual(sorted(arrived), sorted(names))
        digests = {names[local]: sha256(octets).hexdigest() for local, octets in arrived.items()}
        sent = {name: sha256(alter(each)).hexdigest() for name, each in self.messages.items()}
        self.assertEqual([name for name in sent if digests[name] != sent[name]], [])

    def taken(self, sink: SmtpSink) -> list[Taken]:
        """Return what an smtp-sink took: one transaction for each message."""
        taken = sink.messages()
        self.assertEqual(len(taken), len(self.messages))
        return taken


class TransportTests(CorpusCase):
    """All messages, by each way out."""

    async def test_smtp(self) -> None:
        """By SMTP to a Postfix, with TLS and AUTH. It sets an empty line behind a header that has
        none, as it does by itself, and keeps all else (MSG-11).
        """
        authority = Authority()
        setup = Setup(certificate=authority.certificate("127.0.0.1"), accounts={"alice": "secret"})
        postfix = self.serve(Postfix(setup))
        await self.deliver(self.relay(self.submission(authority, postfix.port, "alice:secret")))
        arrived = await postfix.arrived(len(self.messages))
        self.compare(
            {each.recipient.partition("@")[0]: below_trace(each.octets)[1] for each in arrived},
            _kept_by_postfix,
        )

    async def test_smtp_sink(self) -> None:
        """By SMTP to an smtp-sink, which alters nothing (MSG-11)."""
        sink = self.serve(SmtpSink())
        await self.deliver(self.relay(f"smtp:127.0.0.1:port={sink.port}"))
        self.compare({_local(each): below_trace(each.octets)[1] for each in self.taken(sink)})

    async def test_lmtp(self) -> None:
        """By LMTP to a Dovecot, which alters nothing (MSG-11)."""
        users = [f"m{number}" for number, _ in enumerate(self.messages)]
        dovecot = self.serve(Dovecot([User(name) for name in users]))
        await self.deliver(self.relay(f"lmtp:unix={dovecot.socket}"))
        stored = {user: dovecot.messages(user) for user in users}
        own = b"Return-Path: <s@a.test>\r\n"
        self.compare(
            {
                user: below_trace((each.own + each.octets).removeprefix(own))[1]
                for user, [each] in stored.items()
            }
        )

    async def test_http(self) -> None:
        """By HTTP to another relay, and from there to an smtp-sink (MSG-11)."""
        sink = self.serve(SmtpSink())
        far = self.serve(WebDaemon("--relay", f"smtp:127.0.0.1:port={sink.port}"))
        await self.deliver(self.relay(far.url))
        self.compare({_local(each): below_traces(each.octets) for each in self.taken(sink)})

    async def test_program(self) -> None:
        """By a program that stores its standard input (MSG-11)."""
        folder = self.folder()
        await self.deliver(self.relay(_storing(folder)))
        self.compare({path.name: below_trace(path.read_bytes())[1] for path in folder.iterdir()})

    async def test_maildrop(self) -> None:
        """By maildrop, into a Maildir, where lines end as in files. It makes a line end of a NUL,
        and keeps all else (MSG-11).
        """
        home = self.folder("new", "cur", "tmp", filter='to "$1"\n')
        maildrop = f"maildrop:extra_args=filter {home}:directory={home}:user=nobody"
        await self.deliver(self.relay(maildrop))
        stored = [path.read_bytes().replace(b"\n", b"\r\n") for path in maildir.files(home)]
        self.compare(
            {f"m{number}": below_trace(each)[1] for number, each in enumerate(stored)},
            lambda octets: octets.replace(b"\0", b"\r\n"),
        )

    async def test_mx(self) -> None:
        """To an exchanger that real name servers tell of, an smtp-sink (MSG-11)."""
        nsd = self.serve(Nsd({"@": ["MX 10 a"], "a": ["A 127.0.0.2"]}))
        unbound = self.serve(Unbound(nsd))
        sink = self.serve(SmtpSink(address="127.0.0.2"))
        exchangers = f"mx:port={sink.port}:allow_networks=127.0.0.0/8"
        relay = self.relay(exchangers, "--resolver", f"127.0.0.1:{unbound.port}")
        await self.deliver(relay, nsd.zone)
        self.compare({_local(each): below_trace(each.octets)[1] for each in self.taken(sink)})


class LineEndTests(CorpusCase):
    """The files as they are: their lines end with LF, and one has any octets."""

    def setUp(self) -> None:
        """Leave those out that SMTP has a meaning for."""
        super().setUp()
        self.messages = {name: octets for name, octets in mails().items() if alone(octets)}
        self.assertGreater(len(self.messages), 60)

    async def test_refused(self) -> None:
        """A CR or LF alone is refused with 521, the connection ends, and nothing goes on (SMI)."""
        sink = self.serve(SmtpSink())
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}")
        refusal = (521, "5.5.2 CR or LF alone in the message"), b""
        for octets in self.messages.values():
            self.assertEqual(await in_thread(_refused, relay.port, octets), refusal)
        self.assertEqual((sink.messages(), relay.events()), ([], []))

    async def test_normalized(self) -> None:
        """Told to, the relay makes line ends of them, and alters nothing else (SMI)."""
        folder = self.folder()
        await self.deliver(self.relay(_storing(folder), "--bare-newline", "normalize"))
        found = {path.name: below_trace(path.read_bytes())[1] for path in folder.iterdir()}
        self.compare(found, lambda octets: native(_ended(octets)))


class MissingTests(SynchronousTestCase):
    """Messages that nobody fetched."""

    def test_missing(self) -> None:
        """The error says how to get them."""
        error = self.assertRaises(CorpusMissingError, mails, Path(self.mktemp()))
        self.assertIn("bash .ci/test", str(error))
