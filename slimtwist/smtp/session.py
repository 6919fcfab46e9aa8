# -*- test-case-name: tests.smtp.test_session -*-
"""From a connection to a session that takes mail: greeting, EHLO, STARTTLS, AUTH.

The dialogue is read from top to bottom.  Whatever goes wrong is raised as an error that says the
reply, the command and the host; whether another connection or host follows is for others to say.

Sources: RFC 5321 3.1, 3.2 and 4.3.2, RFC 3207, RFC 4954, RFC 2033 4.1, RFC 7504 (521).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from inspect import isawaitable
from typing import Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from slimtwist.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    RelayError,
    TLSFailed,
    fault_outcome,
    refusal,
    relay_error,
)
from slimtwist.outcome import Outcome
from slimtwist.reply import Reply
from slimtwist.smtp.auth import AuthError, Credentials, Mechanism, choose, respond
from slimtwist.smtp.channel import Broken, Channel, Trouble
from slimtwist.smtp.extensions import Extensions
from slimtwist.smtp.options import ClientOptions, CredentialSource
from slimtwist.smtp.tls import TlsMode, TlsPolicy, describe

#: RFC 4954 4: a longer initial response waits for the host's go-ahead.
_AUTH_LINE: Final = 512
#: Characters of what a host offers that are quoted.
_QUOTED: Final = 200


class Session:
    """A greeted, protected and authenticated connection.

    @ivar channel: carries it.
    @ivar host: who is at the other end, for people: C{"mx.example.com [192.0.2.1]:25"}.
    @ivar options: what is configured.
    @ivar extensions: what the host can do.
    @ivar tls: what protects it; C{None} for nothing.
    @ivar verified: whether the host has proved who it is.
    """

    _log = Logger()

    def __init__(self, channel: Channel, host: str, options: ClientOptions) -> None:
        """Begin with a connected channel."""
        self.channel = channel
        self.host = host
        self.options = options
        self.extensions = Extensions()
        self.tls: str | None = None
        self.verified = False

    async def begin(self, name: str, policy: TlsPolicy, nonce: Callable[[], str]) -> None:
        """Make the session ready for mail.

        @param name: the destination as configured: what a certificate is for.
        @param policy: the protection wanted.
        @param nonce: gives a fresh unguessable text.
        @raise RelayError: it cannot be made ready.
        """
        if policy.first:
            await self._protect(name, policy)
        await self._greeting()
        await self._hello(name, policy)
        if policy.mode is not TlsMode.NONE and not policy.first:
            await self._starttls(name, policy)
        if self.options.credentials is not None:
            await self._authenticate(nonce)

    async def command(self, command: str, octets: bytes, wait: float) -> bytes:
        """Send a command, return the reply.

        @param command: a key of L{STAGES<slimtwist.errors.STAGES>}.
        @raise RelayError: none came, or more than that.
        """
        reply = await self._reply(command, octets, wait)
        if not self.channel.quiet():
            raise self._broken(command)
        return reply

    async def _reply(self, command: str, octets: bytes, wait: float) -> bytes:
        try:
            return await self.channel.command(octets, wait)
        except Broken:
            raise self._broken(command) from None

    def trouble(self, command: str, *, ambiguous: bool = False) -> Outcome:
        """Return what the channel's trouble means to a recipient, at a command."""
        trouble = cast(Trouble, self.channel.trouble)
        if trouble.reply is not None and not ambiguous:
            return self.refusal(command, trouble.reply)
        return self._fault(trouble.kind.fault, trouble.detail, command, ambiguous=ambiguous)

    def refusal(self, command: str, reply: bytes) -> Outcome:
        """Return what a 4yz or 5yz means to a recipient."""
        return refusal(Reply.received(reply), command, host=self.host, tls=self.tls)

    def violation(self, command: str, reply: bytes, *, ambiguous: bool = False) -> Outcome:
        """Close, and return what a reply that cannot stand here means to a recipient."""
        self.channel.close()
        detail = f"{ascii(reply[:40])[1:]} in reply to {command}"
        return self._fault("protocol", detail, command, ambiguous=ambiguous)

    def _fault(self, fault: str, detail: str, command: str, *, ambiguous: bool) -> Outcome:
        outcome = fault_outcome(fault, detail, command=command, host=self.host, ambiguous=ambiguous)
        return replace(outcome, tls=self.tls)

    def _broken(self, command: str) -> RelayError:
        kind = cast(Trouble, self.channel.trouble).kind
        return relay_error(self.trouble(command), kind)

    def _refused(self, command: str, reply: bytes) -> RelayError:
        """Close, and return the error for a reply that is not the expected one."""
        if reply[:1] not in b"45":
            return ProtocolViolation(self.violation(command, reply))
        self.channel.close(b"QUIT\r\n")
        return relay_error(self.refusal(command, reply))

    async def _greeting(self) -> None:
        reply = await self.command("greeting", b"", self.options.timeouts.greeting)
        if not reply.startswith(b"220"):
            raise self._refused("greeting", reply)

    async def _hello(self, name: str, policy: TlsPolicy) -> None:
        verb = b"LHLO" if self.options.lmtp else b"EHLO"
        argument = self.options.name_for(name).encode()
        wait = self.options.timeouts.ehlo
        reply = await self.command("EHLO", b"%s %s\r\n" % (verb, argument), wait)
        if reply.startswith(b"5") and self._may_fall_back(policy):
            reply = await self.command("EHLO", b"HELO %s\r\n" % argument, wait)
            reply = reply[:4] if reply.startswith(b"250") else reply  # it offers nothing
        if not reply.startswith(b"250"):
            raise self._refused("EHLO", reply)
        self.extensions = Extensions.parse(reply)

    def _may_fall_back(self, policy: TlsPolicy) -> bool:
        """Without EHLO there is no STARTTLS and no AUTH; LMTP has no HELO."""
        needs_ehlo = policy.required and self.tls is None
        return not (self.options.lmtp or needs_ehlo or self.options.credentials is not None)

    async def _starttls(self, name: str, policy: TlsPolicy) -> None:
        if not self.extensions.starttls:
            return self._go_without(policy, "STARTTLS is not offered")
        reply = await self._reply("STARTTLS", b"STARTTLS\r\n", self.options.timeouts.starttls)
        if not self.channel.quiet():
            raise self._injected() if reply.startswith(b"220") else self._broken("STARTTLS")
        if reply[:1] in b"45":
            return self._go_without(policy, f"STARTTLS refused: {Reply.received(reply)}")
        if not reply.startswith(b"220"):
            raise self._refused("STARTTLS", reply)
        await self._protect(name, policy)
        # RFC 3207 4.2: what was learned before is forgotten, as it is with every EHLO.
        return await self._hello(name, policy)

    def _injected(self) -> ProtocolViolation:
        """Return the error for octets that were to be taken for the first inside TLS."""
        self._log.warn("starttls-injection: {host} sent more than 220 in clear", host=self.host)
        reply = Reply.parse("451 4.7.0 plaintext came behind the reply to STARTTLS")
        return ProtocolViolation(Outcome.of(reply, command="STARTTLS", host=self.host))

    def _go_without(self, policy: TlsPolicy, why: str) -> None:
        if policy.required:
            self.channel.close(b"QUIT\r\n")
            raise TLSFailed(fault_outcome("no tls", why, command="STARTTLS", host=self.host))

    async def _protect(self, name: str, policy: TlsPolicy) -> None:
        try:
            await self.channel.start_tls(policy.creator(name), self.options.timeouts.starttls)
        except Broken:
            raise self._broken("STARTTLS") from None
        self.tls = describe(self.channel.transport) or "TLS"
        self.verified = policy.verified

    async def _authenticate(self, nonce: Callable[[], str]) -> None:
        source = self.options.credentials
        reply = await self._login(await self._ask(source), nonce)
        if reply.startswith(b"535") and callable(source):
            # A token may have expired since it was asked for.  Some hosts hang up after a refusal,
            # which is then what they had to say.
            with suppress(ConnectionLost):
                reply = await self._login(await self._ask(source), nonce)
        if not reply.startswith(b"235"):
            raise self._refused("AUTH", reply)

    async def _ask(self, source: CredentialSource | None) -> Credentials:
        """Return credentials; who gives them may be anybody's code, and slow."""
        try:
            given = source() if callable(source) else source
            if isawaitable(given):
                # Both kinds are awaited as a Deferred, which can be told to hurry.
                waiting: Deferred[Credentials] = Deferred.fromCoroutine(_awaited(given))
                given = await waiting.addTimeout(self.options.timeouts.auth, self.channel.clock)
        except CancelledError:
            raise
        except Exception as error:
            self._log.failure("credentials for {host} failed", host=self.host)
            raise self._auth_failed(f"no credentials: {type(error).__name__}") from error
        return cast(Credentials, given)

    async def _login(self, credentials: Credentials, nonce: Callable[[], str]) -> bytes:
        mechanism = choose(self.extensions.auth, credentials, nonce)
        if mechanism is None:
            offered = " ".join(sorted(self.extensions.auth))[:_QUOTED] or "nothing"
            raise self._auth_failed(f"no mechanism in common, the host offers {offered}")
        try:
            reply = await self._mechanism(mechanism)
            if reply.startswith(b"235"):
                mechanism.finished()
        except (AuthError, Base64Error) as error:
            raise self._auth_failed(f"{mechanism.name}: {error}") from error
        return reply

    async def _mechanism(self, mechanism: Mechanism) -> bytes:
        wait = self.options.timeouts.auth
        line, later = b"AUTH " + mechanism.name.encode(), mechanism.initial
        if later is not None:
            # RFC 4954 4: an empty initial response is written as an equals sign.
            whole = b"%s %s" % (line, b64encode(later) or b"=")
            if len(whole) + 2 <= _AUTH_LINE:
                line, later = whole, None
        reply = await self.command("AUTH", line + b"\r\n", wait)
        while reply.startswith(b"334"):
            if later is not None:
                answer, later = later, None
            else:
                challenge = b64decode(reply[4:].strip(), validate=True)
                answer = await respond(mechanism, challenge, self.channel.clock)
            reply = await self.command("AUTH", b64encode(answer) + b"\r\n", wait)
        return reply

    def _auth_failed(self, why: str) -> AuthenticationFailed:
        self.channel.close()
        return AuthenticationFailed.at(why, command="AUTH", host=self.host)


async def _awaited(given: Awaitable[Credentials]) -> Credentials:
    return await given
