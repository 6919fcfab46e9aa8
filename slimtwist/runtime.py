# -*- test-case-name: tests.test_runtime -*-
"""What relays, queues and edges need from outside, in one value.

Clock, network and processes come from the reactor in here, randomness from its source: no other
module imports them.  So the whole program runs under a virtual clock on an in-memory network.
"""

from __future__ import annotations

import inspect
import random
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IResolver

from slimtwist.description import Description, is_relay_name, parse_description, unbracketed
from slimtwist.installed import Installed, installed, reason
from slimtwist.interfaces import IRelay, IRelayPlugin
from slimtwist.limits import Limits, Timeouts

#: RFC 5321 4.1.2: a domain, but with the underscores that some hosts have.
_DOMAIN: Final = re.compile(r"(?=.{1,255}\Z)(?:(?!-)[-_0-9A-Za-z]{1,63}(?<!-)(?:\.(?!\Z)|\Z))+\Z")
_IPV6: Final = "IPv6:"


def ehlo_name(name: str) -> str:
    """Return a name that may follow EHLO, HELO or LHLO.

    @raise ValueError: it is neither a host name nor an address literal (RFC 5321 4.1.1.1).
    """
    if not (_DOMAIN.match(name) or _is_literal(name)):
        raise ValueError(f"{name[:80]!a} is neither a host name nor an address literal")
    return name


def _is_literal(name: str) -> bool:
    """Tell whether a name is an address in brackets, IPv6 behind its tag (RFC 5321 4.1.3)."""
    if not (name.startswith("[") and name.endswith("]")) or "%" in name:
        return False
    address = name[1:-1]
    kind = IPv6Address if address.startswith(_IPV6) else IPv4Address
    try:
        kind(address.removeprefix(_IPV6))
    except ValueError:
        return False
    return True


class Shared(Protocol):
    """A relay that may have several users; L{slimtwist.relay.shared.SharedRelay} is one."""

    def use(self) -> IRelay:
        """Return a relay for one more user, who stops it."""


@dataclass(frozen=True)
class Runtime:
    """What is shared by the parts of a running program.

    @ivar reactor: provides time, TCP, UNIX sockets, name resolution and processes, as Twisted's
        does.
    @ivar hostname: what this host calls itself: in EHLO, in greetings and trace fields.
    @ivar random: the source of all randomness.
    @ivar resolver: asks the domain name system; C{None} for the one of C{/etc/resolv.conf}.
    @ivar limits: how much is taken, where nobody says otherwise.
    @ivar timeouts: how long is waited, where nobody says otherwise.
    @ivar defined: relays that descriptions may name.
    @raise ValueError: the host name cannot be one.
    """

    reactor: Any
    hostname: str = "localhost"
    random: random.Random = field(default_factory=random.SystemRandom)
    resolver: IResolver | None = None
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    defined: Mapping[str, Shared] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check the host name."""
        ehlo_name(self.hostname)

    def relay(self, description: str) -> IRelay:
        """Build a relay.

        @param description: such as C{"smtp:smarthost.example.com:port=587"}, or the name of a
            relay in C{defined}; brackets may be around it.
        @return: a relay for one user, who stops it.
        @raise ValueError: there is no such relay, or an argument is wrong.
        """
        description = unbracketed(description)
        if description in self.defined:
            return self.defined[description].use()
        plugin, parsed = self._plugin(description)
        try:
            return self._parsed(plugin, parsed)
        except ValueError as error:
            raise ValueError(f"{parsed.prefix}: {error}") from error

    def _parsed(self, plugin: IRelayPlugin, parsed: Description) -> IRelay:
        try:
            inspect.signature(plugin.parse).bind(self, *parsed.args, **parsed.kwargs)
        except TypeError as error:
            raise ValueError(str(error)) from error
        try:
            relay = plugin.parse(self, *parsed.args, **parsed.kwargs)
        except ValueError:
            raise
        except Exception as error:  # a plugin may be anybody's code
            raise ValueError(f"its plugin failed: {reason(error)}") from error
        if not IRelay.providedBy(relay):
            raise ValueError(f"its plugin built {type(relay).__name__}, which is no relay")
        return relay

    def _plugin(self, description: str) -> tuple[IRelayPlugin, Description]:
        found = installed()
        if is_relay_name(description) and description not in found.plugins:
            raise ValueError(self._unknown(description, found))
        parsed = parse_description(description)
        if parsed.prefix not in found.plugins:
            raise ValueError(self._unknown(parsed.prefix, found))
        return found.plugins[parsed.prefix], parsed

    def _unknown(self, name: str, found: Installed) -> str:
        if name in self.defined:
            return f"{name!r} is the name of a relay, and stands alone: it takes no arguments"
        known = f"installed are {', '.join(sorted(found.plugins))}"
        if self.defined:
            known += f"; defined are {', '.join(sorted(self.defined))}"
        for plugin, problem in found.problems.items():
            known += f"; {plugin} cannot be used: {problem}"
        return f"no relay {name!r}; {known}"


def default_reactor() -> Any:  # noqa: ANN401 - as in Runtime
    """Return the reactor of this process; this installs one where there is none yet."""
    from twisted.internet import reactor  # noqa: PLC0415 - installs a reactor

    return reactor


def default_runtime() -> Runtime:
    """Return the runtime of this process: Twisted's reactor and the host's own name."""
    name = socket.getfqdn()
    try:
        return Runtime(default_reactor(), hostname=ehlo_name(name))
    except ValueError:
        return Runtime(default_reactor())
