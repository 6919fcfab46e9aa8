# -*- test-case-name: tests.smtp.test_options -*-
"""What is configured of a client's connections, in one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from slimtwist.content import Content
from slimtwist.limits import Limits, Timeouts
from slimtwist.runtime import ehlo_name
from slimtwist.smtp.auth import Credentials
from slimtwist.smtp.tls import TlsMode, TlsPolicy

#: Credentials, or what gives them: asked for each session, and once more when they are refused.
CredentialSource: TypeAlias = Credentials | Callable[[], Credentials | Awaitable[Credentials]]


@dataclass(frozen=True)
class ClientOptions:
    """How connections to a host are made and used.

    @ivar ehlo_as: what follows EHLO: a name, or a callable of the destination's name.
    @ivar tls: the protection wanted; C{None}: C{verify} with credentials, C{opportunistic} without.
    @ivar credentials: for AUTH.
    @ivar auth_insecure: send them over a channel that is not verified, or not even encrypted.
    @ivar lmtp: speak LMTP (RFC 2033).
    @ivar eight_bit: C{as-is} sends 8-bit content to a host without 8BITMIME, C{reject} refuses it.
    @ivar binary_encoder: makes 7-bit content of 8-bit content, where the host has no 8BITMIME.
    @ivar timeouts: how long each step may take.
    @ivar limits: how much is taken from the peer.
    @raise ValueError: a part is wrong, or two contradict each other.
    """

    ehlo_as: str | Callable[[str], str] = "localhost"
    tls: TlsPolicy | None = None
    credentials: CredentialSource | None = None
    auth_insecure: bool = False
    lmtp: bool = False
    eight_bit: str = "as-is"
    binary_encoder: Callable[[Content], Content] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Check what can be known before there is a connection."""
        if isinstance(self.ehlo_as, str):
            ehlo_name(self.ehlo_as)
        if self.eight_bit not in ("as-is", "reject"):
            raise ValueError(f"eight_bit={self.eight_bit!r} is neither 'as-is' nor 'reject'")
        if self.credentials is not None and not (self.policy.verified or self.auth_insecure):
            raise ValueError(
                f"credentials are not sent with tls={self.policy.mode.value!r}: "
                "take tls='verify', or set auth_insecure"
            )

    @cached_property
    def policy(self) -> TlsPolicy:
        """The protection wanted; one value, so that its OpenSSL contexts are made once."""
        if self.tls is not None:
            return self.tls
        return TlsPolicy(TlsMode.VERIFY if self.credentials is not None else TlsMode.OPPORTUNISTIC)

    def name_for(self, host: str) -> str:
        """Return what to follow EHLO with. Raises ValueError when the callable gives nonsense."""
        return self.ehlo_as if isinstance(self.ehlo_as, str) else ehlo_name(self.ehlo_as(host))
