# -*- test-case-name: tests.relay.test_commandline -*-
"""The arguments of a program for one message, from the templates of its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from slimtwist.address import Address, Recipient
from slimtwist.envelope import Envelope
from slimtwist.relay.dress import fields
from slimtwist.relay.template import Template, UnfitValue, command

#: Octets of all arguments. Linux takes 2 MiB with the environment, unless stacks are limited.
LONGEST: Final = 1 << 20

_OF_RECIPIENT: Final[Mapping[str, Callable[[Address], str]]] = {
    "recipient": str,
    "localpart": lambda address: address.local,
    "domain": lambda address: address.domain,
    "extension": lambda address: address.local.partition("+")[2],
}


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program and its arguments, with names for what differs from message to message.

    @ivar templates: the program first.
    @ivar leading_dash: whether a value may make its argument begin with C{-}.
    """

    templates: tuple[Template, ...]
    leading_dash: bool = False

    @classmethod
    def parse(cls, words: Sequence[str], *, leading_dash: bool = False) -> Self:
        """Read a command. Raises ValueError like L{command}."""
        return cls(command(words), leading_dash)

    @property
    def program(self) -> str:
        """The program, as it was configured."""
        return self.templates[0].text

    def values(self, envelope: Envelope) -> dict[str, str]:
        """Return what the names that are no recipient's stand for in a message.

        @raise OSError: the message cannot be read for its Message-ID.
        """
        client = envelope.client
        values = {
            "sender": str(envelope.sender),
            "envelope_id": envelope.id,
            "client_ip": client.ip or "",
            "client_host": client.host or "",
            "client_ehlo": client.helo or "",
            "client_protocol": client.protocol or "",
            "client_auth": client.auth or "",
        }
        if any("message_id" in template.names for template in self.templates):
            values["message_id"] = next(iter(fields(envelope.content, "Message-ID")), "")
        return values

    def fill(self, values: Mapping[str, str], recipients: Sequence[Recipient]) -> list[bytes]:
        """Return the arguments; those that name a recipient are there once for each.

        @param values: of L{values}.
        @raise UnfitValue: a value cannot be given to a program.
        """
        argv = [
            argument
            for template in self.templates
            for argument in self._arguments(template, values, recipients)
        ]
        if sum(map(len, argv)) > LONGEST:
            raise UnfitValue("451 4.3.5 all arguments of the program would be too long together")
        return argv

    def _arguments(
        self, template: Template, values: Mapping[str, str], recipients: Sequence[Recipient]
    ) -> list[bytes]:
        if not template.names & _OF_RECIPIENT.keys():
            return [template.fill(values, leading_dash=self.leading_dash)]
        return [
            template.fill({**values, **_about(each.address)}, leading_dash=self.leading_dash)
            for each in recipients
        ]


def _about(address: Address) -> dict[str, str]:
    return {name: get(address) for name, get in _OF_RECIPIENT.items()}
