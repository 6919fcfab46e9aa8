# -*- test-case-name: tests.test_assembly -*-
"""What an operator writes, before anybody has looked at it.

L{slimtwist.assembly} makes a service of it; C{twistd relay} gets it from a command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twisted.cred.checkers import ICredentialsChecker

#: Where mail comes in when no option says so.
DEFAULT_LISTENER: Final = "tcp:2525:interface=127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an operator wrote, as he wrote it; the names are those of the options.

    @ivar relay: a description.
    @ivar smtp: endpoints.
    @ivar lmtp: endpoints.
    @ivar http: endpoints.
    @ivar route: C{DOMAIN=DESCRIPTION} or C{from=DOMAIN=DESCRIPTION} each.
    @ivar define: C{NAME=DESCRIPTION} each.
    @ivar queue: C{direct:}.
    @ivar accept: domains.
    @ivar relay_from: networks, or C{unix}; none for this host.
    @ivar hostname: C{None} for the host's own.
    @ivar resolver: C{ADDRESS:PORT}; C{None} for the name servers of this host.
    @ivar checkers: of passwords; none for no AUTH.
    @ivar tokens: files of tokens, for HTTP.
    @ivar certificate: a PEM file.
    @ivar limit: C{NAME=VALUE} each, of L{Limits}.
    @ivar timeout: C{NAME=SECONDS} each, of L{Timeouts}.
    @ivar bare_newline: C{reject} or C{normalize}.
    """

    relay: str
    smtp: Sequence[str] = ()
    lmtp: Sequence[str] = ()
    http: Sequence[str] = ()
    route: Sequence[str] = ()
    define: Sequence[str] = ()
    queue: str = "direct:"
    accept: Sequence[str] = ()
    relay_from: Sequence[str] = ()
    hostname: str | None = None
    resolver: str | None = None
    checkers: Sequence[ICredentialsChecker] = ()
    tokens: Sequence[str] = ()
    certificate: str | None = None
    limit: Sequence[str] = ()
    timeout: Sequence[str] = ()
    bare_newline: str = "reject"
