# -*- test-case-name: tests.smtp.test_names -*-
"""The name a peer must prove, and the names a certificate proves.

A name is proved by the rules of RFC 9525: a host name by the certificate's DNS names only, an
address by its IP addresses only, nothing by the subject's common name; a wildcard stands for one
whole label on the left.  The comparison is service_identity's.  A presented name that is malformed
(a NUL, a wildcard elsewhere, an address among the DNS names) proves nothing, and does not spoil the
names beside it.

Whether the certificate may be believed at all is for L{slimtwist.smtp.verification}.

Sources: RFC 9525 6 (matching), RFC 6066 3 (server names carry no address and no final dot).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from service_identity import CertificateError
from service_identity.hazmat import DNS_ID, DNSPattern

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
#: How many of a certificate's names an error quotes.
_QUOTED = 4


@dataclass(frozen=True, slots=True)
class Reference:
    """The name that a peer must prove to be his.

    @ivar text: a host name in lower case and A-labels without a final dot, or an IP address.
    @ivar address: the address, if it is one.
    """

    text: str
    address: _Address | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference for a host as configured.

        @param text: a host name, also with U-labels or a final dot; or an IPv4 or IPv6 address.
        @raise ValueError: it is neither.
        """
        if (address := _address(text)) is not None:
            return cls(str(address), address)
        name = text.lower().removesuffix(".")
        try:
            known = DNS_ID(name).hostname.decode("ascii")
        except ValueError as error:
            raise ValueError(f"{text[:80]!a} is neither a host name nor an address") from error
        # DNS_ID forgives spaces around a name, and any length.
        sound = name == name.strip() and len(known) <= 253
        if not sound or not all(0 < len(label) < 64 for label in known.split(".")):
            raise ValueError(f"{text[:80]!a} is not a host name")
        return cls(known)

    @property
    def server_name(self) -> bytes | None:
        """What to say as Server Name Indication: nothing for an address (RFC 6066 3)."""
        return None if self.address is not None else self.text.encode("ascii")

    def proved_by(self, names: CertificateNames) -> bool:
        """Tell whether one of a certificate's names is this one (RFC 9525 6.3, 6.4)."""
        if self.address is not None:
            return self.address in names.addresses
        host = DNS_ID(self.text)
        return any(host.verify(pattern) for pattern in _patterns(names.hosts))


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """The names of a certificate that a mail server can be known by, as presented.

    @ivar hosts: its DNS names, well-formed or not.
    @ivar addresses: its IP addresses; networks are none.
    """

    hosts: tuple[str, ...]
    addresses: tuple[_Address, ...]

    @classmethod
    def of(cls, certificate: x509.Certificate) -> CertificateNames:
        """Return the names of a certificate; without subjectAltName it has none (RFC 9525 6.2).

        @raise ValueError: the certificate's extensions cannot be read.
        """
        try:
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return cls((), ())
        except _UNREADABLE as error:
            raise ValueError(f"certificate cannot be read: {error}") from error
        return cls(
            tuple(found.value.get_values_for_type(x509.DNSName)),
            tuple(
                known
                for known in found.value.get_values_for_type(x509.IPAddress)
                if isinstance(known, _Address)
            ),
        )

    def __str__(self) -> str:
        """Return some of the names, for an error text; they are not printable yet."""
        names = [*self.hosts, *map(str, self.addresses)]
        if not names:
            return "no subject alternative name"
        more = f" and {len(names) - _QUOTED} more" if len(names) > _QUOTED else ""
        return ", ".join(name[:80] for name in names[:_QUOTED]) + more


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _patterns(hosts: tuple[str, ...]) -> Iterator[DNSPattern]:
    for host in hosts:
        if host != host.strip():
            continue  # a pattern would be made of what is between the spaces
        try:
            yield DNSPattern.from_bytes(host.encode())
        except CertificateError:
            continue
