# -*- test-case-name: tests.integration.test_postfix -*-
"""How a Postfix is set up for a test: a L{Setup}, and what it refuses, each a L{Refusal}.

L{tests.integration.configuration} makes Postfix's own words of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.integration.certificates import Authority, Certificate

#: Where in a dialogue a Postfix refuses. At C{end} the sender; or the recipient, if there is one.
Stage = Literal["connect", "helo", "mail", "rcpt", "data", "end"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that a Postfix refuses.

    @ivar stage: at which command; C{end} is after the end of data.
    @ivar key: the address, C{<>} for the null sender; at C{connect} the client's IP address, at
        C{helo} its name.
    @ivar reply: code, enhanced code and text. Postfix says for C{450 4.2.1 later} at C{rcpt}:
        C{450 4.2.1 <a@b.test>: Recipient address rejected: later}; a code of 421 ends the session.
    """

    stage: Stage
    key: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a Postfix is to do.

    Without C{accounts} and C{auth_socket} it takes mail for everybody from the loopback. With them,
    only C{local_domains} are open to clients that are not authenticated, all else is 554 5.7.1.

    @ivar certificate: offer STARTTLS with it.
    @ivar require_tls: refuse MAIL before STARTTLS (530 5.7.0).
    @ivar implicit_tls: listen on a second port where TLS comes first.
    @ivar client_authority: ask for a client certificate, and take mail for everybody from clients
        that have one of this authority, from others only for C{local_domains}.
    @ivar accounts: from user to password, checked by Cyrus SASL.
    @ivar mechanisms: offered for C{accounts}.
    @ivar auth_socket: check passwords and tokens at this socket of a Dovecot instead.
    @ivar auth_in_clear: offer AUTH without TLS too.
    @ivar refusals: who and what is refused.
    @ivar content_checks: from a regular expression between slashes, for lines of header and body,
        to an action, C{REJECT 5.7.1 text}: refused after the end of data (header_checks(5)).
    @ivar hidden: EHLO keywords that are not offered, such as C{8BITMIME}, C{PIPELINING}.
    @ivar message_size_limit: in octets; 0 for none.
    @ivar relay_to: hand messages to this next hop, C{smtp:[127.0.0.1]:2525}, C{lmtp:unix:/path},
        instead of keeping them. Those for C{local_domains} are kept: bounces, say.
    @ivar local_domains: for which it takes mail from anybody, and always keeps it.
    @ivar retry_after: seconds after which a deferred message is tried again; 0 for Postfix's own
        (300 and more).
    @ivar settings: other parameters of main.cf.
    """

    certificate: Certificate | None = None
    require_tls: bool = False
    implicit_tls: bool = False
    client_authority: Authority | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)
    mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")
    auth_socket: Path | None = None
    auth_in_clear: bool = False
    refusals: Sequence[Refusal] = ()
    content_checks: Mapping[str, str] = field(default_factory=dict)
    hidden: Sequence[str] = ()
    message_size_limit: int = 0
    relay_to: str = ""
    local_domains: Sequence[str] = ("local.test",)
    retry_after: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def authenticates(self) -> bool:
        """Whether clients can authenticate."""
        return bool(self.accounts or self.auth_socket)
