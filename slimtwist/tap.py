# -*- test-case-name: tests.test_tap -*-
"""The command ``twistd relay``: its options, and the service that they ask for.

What the options mean is L{slimtwist.assembly}'s business; whatever is wrong with them ends the
command with a status that is not 0, before anything listens.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.python import usage

import slimtwist
from slimtwist.assembly import assemble
from slimtwist.choices import Choices
from slimtwist.edge.room import use_all_descriptors
from slimtwist.installed import installed
from slimtwist.limits import Limits, Timeouts
from slimtwist.listing import listing
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.smtp.secret import read_secret


def _defaults(kind: type[Limits | Timeouts]) -> str:
    return " ".join(f"{each.name}={each.default:.10g}" for each in fields(kind))


class Options(usage.Options, AuthOptionMixin):
    """What an operator may say.

    @ivar service: what was asked for, once the options are parsed.
    """

    synopsis = "[options]"
    longdesc = (
        "Takes mail in by ESMTP, LMTP and HTTP, hands it to its next hop, and tells the client "
        "what became of each recipient. Options marked * may be given several times. "
        f"Limits, with their defaults: {_defaults(Limits)}. "
        f"Waits, in seconds: {_defaults(Timeouts)}."
    )
    supportedInterfaces = (IUsernamePassword, IUsernameHashedPassword)

    optParameters: ClassVar[list[list[str | None]]] = [
        ["relay", "r", "mx:", "Where mail goes: smtp:HOST for a smart host, by default mx:."],
        ["queue", "q", "direct:", "What holds messages. direct: holds nothing."],
        [
            "resolver",
            None,
            None,
            "The name server to ask, ADDRESS:PORT, if not resolv.conf's.",
        ],
        ["hostname", None, None, "What this host calls itself, if not by its own name."],
        ["certificate", None, None, "A PEM file with key and certificates, to offer STARTTLS."],
        ["bare-newline", None, "reject", "What to do about CR or LF alone: reject or normalize."],
    ]

    def __init__(self, runtime: Runtime | None = None) -> None:
        """Know nothing yet.

        @param runtime: clock and network; C{None} for those of the process.
        """
        self._once = {name: False for name, *_ in self.optParameters if name}
        super().__init__()
        self._runtime = runtime
        for name in (
            "smtp",
            "lmtp",
            "http",
            "route",
            "define",
            "accept",
            "relay-from",
            "tokens",
            "limit",
            "timeout",
        ):
            self[name] = []
        self["credCheckers"] = []

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as in usage.Options
        """Keep a value.

        @raise UsageError: it is the second one of an option that can have one only.
        """
        if self._once.get(name):
            raise usage.UsageError(f"--{name}: given twice, as {self[name]!r} and as {value!r}")
        if name in self._once:
            self._once[name] = True
        super().__setitem__(name, value)

    def opt_smtp(self, endpoint: str) -> None:
        """* Take mail by ESMTP on a server endpoint; by default tcp:2525:interface=127.0.0.1."""
        self["smtp"].append(endpoint)

    def opt_lmtp(self, endpoint: str) -> None:
        """* Take mail by LMTP on a server endpoint, such as unix:/run/relay/lmtp."""
        self["lmtp"].append(endpoint)

    def opt_http(self, endpoint: str) -> None:
        """* Take mail by HTTP on a server endpoint, such as tcp:8025 or ssl:8443."""
        self["http"].append(endpoint)

    def opt_route(self, route: str) -> None:
        """* DOMAIN=DESCRIPTION: the relay for a domain, or *.DOMAIN; from=DOMAIN=... by sender."""
        self["route"].append(route)

    def opt_define(self, definition: str) -> None:
        """* NAME=DESCRIPTION: name a relay, for --relay, --route and other relays."""
        self["define"].append(definition)

    def opt_accept(self, domain: str) -> None:
        """* Take mail for this domain from anybody; *.DOMAIN for all below it."""
        self["accept"].append(domain)

    def opt_relay_from(self, network: str) -> None:
        """* Take mail to anywhere from this network, or from unix; by default from this host."""
        self["relay-from"].append(network)

    def opt_tokens(self, path: str) -> None:
        """* Let clients of --http authenticate by the tokens of a file, a name:token a line."""
        self["tokens"].append(path)

    def opt_limit(self, limit: str) -> None:
        """* NAME=VALUE: change a limit of those below."""
        self["limit"].append(limit)

    def opt_timeout(self, timeout: str) -> None:
        """* NAME=SECONDS: change a wait of those below."""
        self["timeout"].append(timeout)

    def opt_auth(self, description: str) -> None:
        """* Let clients authenticate; file:PATH holds lines of name:password."""
        kind, _, argument = description.partition(":")
        if kind == "memory":
            raise usage.UsageError("--auth: secrets come from files; write file:PATH")
        try:
            if kind == "file":
                read_secret(argument)
            super().opt_auth(description)
        except (ValueError, usage.UsageError) as error:
            raise usage.UsageError(f"--auth: {error}") from error

    def opt_help_relays(self) -> None:
        """Tell the relays that descriptions can name, with their arguments, and exit."""
        print(listing(installed()))  # noqa: T201 - for the person at the terminal
        sys.exit(0)

    def opt_version(self) -> None:
        """Display the version and exit."""
        print(f"slimtwist {slimtwist.__version__}")  # noqa: T201 - for the person at the terminal
        sys.exit(0)

    def parseArgs(self, *words: str) -> None:
        """Take no words beside the options; one is mostly the rest of what lacks its quotes."""
        if words:
            said = "is no option; a description with spaces needs quotes around it"
            raise usage.UsageError(f"{words[0]!r} {said}")

    def postOptions(self) -> None:
        """Build the service. Raises UsageError when it cannot be."""
        use_all_descriptors()
        try:
            self.service = assemble(self._choices(), self._runtime or default_runtime())
        except ValueError as error:
            raise usage.UsageError(str(error)) from error

    def _choices(self) -> Choices:
        names = ["relay", "smtp", "lmtp", "http", "route", "define", "queue", "accept"]
        names += ["relay-from", "hostname", "resolver", "tokens", "certificate", "limit"]
        names += ["timeout", "bare-newline"]
        chosen: dict[str, Any] = {name.replace("-", "_"): self[name] for name in names}
        return Choices(**chosen, checkers=self["credCheckers"])


def makeService(options: Options) -> IService:
    """Return the service that the options ask for."""
    return IService(options.service)
