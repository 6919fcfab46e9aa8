# -*- test-case-name: tests.edge.mail.test_domain -*-
"""A relay as a domain of twisted.mail's C{MailService}.

As the default domain it takes what no other domain of the service does, so that mail for local
domains stays where it is and the rest goes to the next hop.

Sources: RFC 5321 2.4 (domains are compared without regard to case), 3.9.1 (aliases).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Never, Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.mail.interfaces import IAliasableDomain, IDomain, IMessageSMTP
from twisted.mail.smtp import DNSNAME, SMTPBadRcpt, User
from zope.interface import Interface, implementer

from slimtwist.edge.mail.asking import asked
from slimtwist.edge.mail.facts import service_identity
from slimtwist.edge.mail.gathering import LONGEST_LINE
from slimtwist.edge.mail.reception import Check, Place, Reception, recipient_of
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.setting import Setting
from slimtwist.interfaces import IQueue
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime

_OPTIONS: Final = EdgeOptions()
_NO_WORD: Final = Reply.parse("451 4.3.5 aliases to elsewhere need a server with true replies")

#: What makes the receiver of a message.
_Place = Callable[[], IMessageSMTP]


class Domains(Protocol):
    """The domains of a C{MailService}, by name: its C{domains}."""

    def get(self, key: bytes, default: None = None) -> IDomain | None:
        """Return the domain of a name, not the default domain."""


@implementer(IDomain)
class RelayDomain:
    """Hands what comes for other domains to a queue."""

    _log = Logger()

    def __init__(
        self,
        runtime: Runtime,
        queue: IQueue,
        options: EdgeOptions = _OPTIONS,
        *,
        local: Domains | None = None,
        check: Check | None = None,
        longest_line: int = LONGEST_LINE,
    ) -> None:
        """Begin without a message.

        @param queue: takes the messages; to be stopped after the servers.
        @param options: as for L{RelayDelivery<slimtwist.edge.mail.delivery.RelayDelivery>}.
        @param local: the C{domains} of the service: what is for one of them, however its name is
            written, stays here, also where an alias leads to it.
        @param check: as for L{RelayDelivery<slimtwist.edge.mail.delivery.RelayDelivery>}: by
            default, clients on this host and those that have authenticated may send to anywhere,
            and nobody else.
        @param longest_line: octets that a line of a message may have, without its end.
        """
        setting = Setting.of(runtime, queue, options)
        self._reception = Reception(setting, check or options.access.refusal, longest_line)
        self._local = local

    def exists(self, user: User, memo: dict[str, None] | None = None) -> _Place | Deferred[Place]:
        """Return what makes the receiver of a message for a user. See C{IDomain}.

        @param memo: which aliases have led here.
        @return: a Deferred where a client asks, since a check may take its time; it fails with
            L{Refused} if the user is not welcome.
        @raise SMTPBadRcpt: an alias stands for nobody elsewhere.
        @raise Refused: an alias cannot be followed.
        """
        local = self._local_domain(user)
        if local is not None:
            return _exists(local, user, memo)
        if user.protocol is None:
            return self._forward(user)
        return self._reception.place(user, service_identity(user))

    def addUser(self, user: bytes, password: bytes) -> Never:
        """Refuse a user. See C{IDomain}.

        @raise ValueError: always: nobody lives here.
        """
        raise ValueError("mail is relayed to this domain; its users are elsewhere")

    def getCredentialsCheckers(self) -> list[ICredentialsChecker]:
        """Return no checker. See C{IDomain}."""
        return []

    def requestAvatar(
        self,
        avatarId: bytes | tuple[()],  # noqa: N803 - IRealm names it so
        mind: object,
        *interfaces: type[Interface],
    ) -> Never:
        """Let nobody in. See C{IRealm}.

        @raise UnauthorizedLogin: always: nobody lives here.
        """
        raise UnauthorizedLogin("mail is relayed to this domain; its users are elsewhere")

    def _local_domain(self, user: User) -> IDomain | None:
        if self._local is None:
            return None
        domain = self._local.get(user.dest.domain.lower())
        return None if domain is self else domain

    def _forward(self, user: User) -> _Place:
        if user.dest.domain == DNSNAME:
            # twisted.mail has put it where an alias has no domain: another alias may be meant.
            raise SMTPBadRcpt(user)
        word = asked()
        if word is None:
            self._log.error(
                "the alias {address} leads elsewhere, but {why}", address=str(user), why=_NO_WORD
            )
            raise Refused.address(_NO_WORD)
        return self._reception.forward(recipient_of(user), word)


def _exists(domain: IDomain, user: User, memo: dict[str, None] | None) -> _Place:
    """Ask another domain; only those with aliases know what a memo is."""
    if memo is not None and IAliasableDomain.providedBy(domain):
        place: _Place = domain.exists(user, memo)
    else:
        place = domain.exists(user)
    return place
