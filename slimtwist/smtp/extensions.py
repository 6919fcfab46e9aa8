# -*- test-case-name: tests.smtp.test_extensions -*-
"""What a host says it can do: its reply to EHLO or LHLO, as typed values.

Hosts write this in many ways; whatever cannot be understood is taken as not said.

Sources: RFC 5321 4.1.1.1, RFC 1870 (SIZE), RFC 2920, RFC 6152, RFC 6531, RFC 3461, RFC 4954, RFC
3207, RFC 8689, RFC 9422 (LIMITS).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions of one session.

    @ivar pipelining: commands may be sent in groups.
    @ivar size: octets of a message that the host takes at most; C{None} when it sets no limit.
    @ivar declares_size: whether SIZE may stand behind MAIL.
    @ivar eight_bit: 8BITMIME.
    @ivar smtputf8: SMTPUTF8.
    @ivar dsn: DSN.
    @ivar starttls: STARTTLS.
    @ivar requiretls: REQUIRETLS.
    @ivar auth: names of SASL mechanisms in upper case.
    @ivar recipients: how many one transaction may have (RFC 9422 RCPTMAX).
    @ivar messages: how many one connection may carry (RFC 9422 MAILMAX).
    """

    pipelining: bool = False
    size: int | None = None
    declares_size: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    starttls: bool = False
    requiretls: bool = False
    auth: frozenset[str] = frozenset()
    recipients: int | None = None
    messages: int | None = None

    @classmethod
    def parse(cls, reply: bytes) -> Extensions:
        """Return what a positive reply to EHLO or LHLO offers.

        @param reply: all lines with their codes, as many as L{ReplyReader} lets through, with CRLF
            between them; the first names the host.
        """
        keywords: dict[str, str] = {}
        for line in reply.split(b"\r\n")[1:]:
            # AUTH=LOGIN is how some hosts wrote it before RFC 2554.
            text = line[4:].decode("ascii", "replace").upper().replace("AUTH=", "AUTH ", 1)
            name, *values = text.split() or [""]
            keywords[name] = " ".join([keywords[name], *values] if name in keywords else values)
        limits = _limits(keywords.get("LIMITS", ""))
        return cls(
            pipelining="PIPELINING" in keywords,
            size=_count(keywords.get("SIZE", "")),
            declares_size="SIZE" in keywords,
            eight_bit="8BITMIME" in keywords,
            smtputf8="SMTPUTF8" in keywords,
            dsn="DSN" in keywords,
            starttls="STARTTLS" in keywords,
            requiretls="REQUIRETLS" in keywords,
            auth=frozenset(keywords.get("AUTH", "").split()),
            recipients=limits.get("RCPTMAX"),
            messages=limits.get("MAILMAX"),
        )


def _count(text: str) -> int | None:
    """Return a number above 0 of at most 20 digits, else nothing: RFC 1870 4 calls 0 no limit."""
    return int(text) or None if text.isdigit() and len(text) <= 20 else None


def _limits(text: str) -> dict[str, int]:
    pairs = (item.partition("=") for item in text.split())
    return {name: number for name, _, value in pairs if (number := _count(value)) is not None}
