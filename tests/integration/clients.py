# -*- test-case-name: tests.integration.test_clients -*-
"""Real clients: swaks and Postfix's smtp-source, run while the reactor keeps running.

Each function returns a Deferred that fires with a L{Finished} when the program has ended, whatever
its exit status: what a client thought of us is for the test to judge. No client runs for longer
than C{within} seconds (coreutils' timeout ends it then, with status 124).

swaks ends with 0 when all went well, and otherwise with a status for the step that failed (C{EXIT
CODES} in its manual): 2 for the connection, 21 for the banner, 22 HELO, 23 MAIL, 24 RCPT, 25 DATA,
26 end of data, 28 AUTH, 29 TLS. smtp-source ends with 1 at the first reply that it did not expect.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from tests.integration.programs import program, require

_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a program: its exit status (minus the signal that killed it) and output."""

    status: int
    output: bytes
    errors: bytes

    @property
    def text(self) -> str:
        """All that it printed, for looking at and for messages."""
        return (self.output + self.errors).decode("utf-8", "replace")


def run(
    name: str, *arguments: str, stdin: bytes = b"", within: float = _WITHIN
) -> Deferred[Finished]:
    """Run a program to its end.

    @param name: a key of L{tests.integration.programs.PARTS}.
    @param arguments: its arguments.
    @param stdin: the octets of its standard input.
    @param within: after how many seconds it is killed.
    @raise tests.integration.programs.ProgramMissingError: it is not installed.
    """
    command = [program("timeout"), "--kill-after=5", str(within), program(name), *arguments]
    return Deferred.fromCoroutine(_run(command, stdin))


async def _run(command: Sequence[str], stdin: bytes) -> Finished:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    output, errors, status = await getProcessOutputAndValue(
        command[0], command[1:], environment, stdinBytes=stdin
    )
    return Finished(status, output, errors)


def swaks(
    port: int | str, *arguments: str, octets: bytes | None = None, within: float = _WITHIN
) -> Deferred[Finished]:
    """Run swaks against a server on 127.0.0.1, or on a UNIX socket.

    @param port: the TCP port, or the path of the socket.
    @param arguments: the others, such as C{"--to", "you@b.test", "--protocol", "LMTP"}.
    @param octets: a message with CRLF line ends and a last one of them, sent exactly so. Without
        it, swaks makes one up.
    """
    require("Perl module Net::SSLeay", "Perl module IO::Socket::INET6")
    where = ["--socket", port] if isinstance(port, str) else ["--server", f"127.0.0.1:{port}"]
    return Deferred.fromCoroutine(_swaks([*where, *arguments], octets, within))


async def _swaks(arguments: Sequence[str], octets: bytes | None, within: float) -> Finished:
    if octets is None:
        return await run("swaks", *arguments, within=within)
    # swaks changes what it is given (tokens, line ends, dots) unless told not to; then it does
    # not end the message either.
    with _file(stuffed(octets)) as path:
        data = ["--no-data-fixup", "--data", f"@{path}"]
        return await run("swaks", *arguments, *data, within=within)


def stuffed(octets: bytes) -> bytes:
    """Return a message as it goes over the wire after DATA (RFC 5321 4.5.2)."""
    dotted = octets.replace(b"\r\n.", b"\r\n..")
    return (b"." if dotted.startswith(b".") else b"") + dotted + b".\r\n"


@contextmanager
def _file(octets: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="slimtwist-message-") as file:
        file.write(octets)
        file.flush()
        yield Path(file.name)


def smtp_source(
    port: int | str,
    *,
    sender: str = "sender@source.test",
    recipient: str = "recipient@local.test",
    messages: int = 1,
    recipients: int = 1,
    sessions: int = 1,
    length: int | None = None,
    octets: bytes | None = None,
    subject: str | None = None,
    hostname: str = "source.test",
    lmtp: bool = False,
    keep_connection: bool = False,
    go_on: bool = False,
    arguments: Sequence[str] = (),
    within: float = _WITHIN,
) -> Deferred[Finished]:
    """Run smtp-source against a server on 127.0.0.1, or on a UNIX socket. It does not pipeline.

    @param port: the TCP port, or the path of the socket.
    @param recipient: with C{recipients} of 3: C{3you@b.test}, C{2you@b.test}, C{you@b.test}.
    @param messages: how many in all.
    @param recipients: how many in each message.
    @param sessions: how many at the same time.
    @param length: of the body, in octets; the CRLF of an empty line comes after it.
    @param octets: the message instead of one made up, with CRLF line ends. The last line must be
        empty, since smtp-source always sends one, and there may be no NUL, which it cannot send.
    @param keep_connection: send the next message over the same connection.
    @param go_on: do not end at a reply that is not positive.
    @param arguments: any others.
    @raise ValueError: smtp-source would not send C{octets} as they are.
    """
    switches = {
        "-f": sender,
        "-t": recipient,
        "-m": messages,
        "-r": recipients,
        "-s": sessions,
        "-l": length,
        "-S": subject,
        "-M": hostname,
    }
    given = [(key, str(value)) for key, value in switches.items() if value is not None]
    options = [word for pair in given for word in pair]
    flags = {"-L": lmtp, "-d": keep_connection, "-A": go_on}
    options += [flag for flag, is_set in flags.items() if is_set]
    where = f"unix:{port}" if isinstance(port, str) else f"inet:127.0.0.1:{port}"
    return Deferred.fromCoroutine(_source([*options, *arguments], where, octets, within))


async def _source(
    options: Sequence[str], where: str, octets: bytes | None, within: float
) -> Finished:
    if octets is None:
        return await run("smtp-source", *options, where, within=within)
    if not octets.endswith(b"\r\n\r\n") or b"\0" in octets:
        raise ValueError("smtp-source ends a message with an empty line, and a line at a NUL")
    with _file(octets.replace(b"\r\n", b"\n").removesuffix(b"\n")) as path:
        return await run("smtp-source", *options, "-F", str(path), where, within=within)
