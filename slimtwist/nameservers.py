# -*- test-case-name: tests.test_nameservers -*-
"""Which name servers are asked: those that were given, or those of C{resolv.conf}.

Only C{nameserver} lines count.  There is no search list: a domain in an address is whole (RFC 5321
2.3.5), and a list would make another one of it.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Final

#: An IP address and a port.
Server = tuple[str, int]

_PORT: Final = 53
#: Who is asked where C{resolv.conf} names nobody, as resolv.conf(5) says.
_LOCAL: Final = (("127.0.0.1", _PORT),)


def parse_server(text: str) -> Server:
    """Return a name server that was written as C{ADDRESS:PORT}, or as C{ADDRESS} for port 53.

    @param text: an IPv6 address stands in brackets when a port follows.
    @raise ValueError: it is not of that form; the text names it.
    """
    host, colon, port = text.rpartition(":")
    if not colon or _is_ip(text.strip("[]")):
        host, port = text, str(_PORT)
    address = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (_is_ip(address) and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 1 << 16):
        raise ValueError(f"{text!r} is no name server such as 192.0.2.53:53 or [2001:db8::53]:53")
    return address, int(port)


class ResolvConf:
    """The name servers of a file, read again whenever it has changed."""

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        """Read nothing yet.

        @param path: a file as resolv.conf(5) tells; a missing one stands for an empty one.
        """
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._servers: tuple[Server, ...] = _LOCAL

    def servers(self) -> tuple[Server, ...]:
        """Return the name servers, in the order of the file."""
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen != self._seen:
                self._servers = _parsed(self._path.read_text(errors="replace")) or _LOCAL
                self._seen = seen
        except OSError:
            # Somebody may be writing a new one: those that were known are as good as any.
            self._seen = None
        return self._servers


def _parsed(text: str) -> tuple[Server, ...]:
    words = [line.split() for line in text.splitlines()]
    named = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple((each, _PORT) for each in named if _is_ip(each))


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
