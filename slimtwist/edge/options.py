# -*- test-case-name: tests.edge.test_options -*-
"""What an operator chooses for an ESMTP or LMTP edge, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from twisted.cred.portal import Portal

from slimtwist.edge.access import Access, IAccessPolicy
from slimtwist.edge.peer import Certificate
from slimtwist.limits import Limits, Timeouts

_ACCESS: Final = Access()
_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """The choices.

    @ivar lmtp: speak LMTP (RFC 2033) and not ESMTP.
    @ivar access: who may send to whom.
    @ivar limits: how much is taken.
    @ivar timeouts: how long is waited.
    @ivar certificate: offers STARTTLS; C{twisted.internet.ssl.CertificateOptions}, for one.
    @ivar portal: offers AUTH; L{slimtwist.edge.auth.portal} makes one of checkers.
    @ivar auth_in_clear: offer AUTH also where nothing protects the password.
    @ivar bare_newline: what a CR or LF alone in a message means: C{reject} it with 521, or
        C{normalize} it to CRLF.
    @ivar trace: put a trace field on top of each message (RFC 5321 4.4).
    @ivar greeting_delay: seconds before the greeting in which a client that talks is refused.
    """

    lmtp: bool = False
    access: IAccessPolicy = _ACCESS
    limits: Limits = _LIMITS
    timeouts: Timeouts = _TIMEOUTS
    certificate: Certificate | None = None
    portal: Portal | None = None
    auth_in_clear: bool = False
    bare_newline: Literal["reject", "normalize"] = "reject"
    trace: bool = True
    greeting_delay: float = 0.0

    def __post_init__(self) -> None:
        """Check what the types of the parts do not."""
        if self.bare_newline not in {"reject", "normalize"}:
            raise ValueError(f"bare newline {self.bare_newline!r} is not 'reject' or 'normalize'")
        if self.greeting_delay < 0:
            raise ValueError(f"a greeting delay of {self.greeting_delay} s is below 0")
