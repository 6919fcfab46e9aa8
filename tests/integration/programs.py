# -*- test-case-name: tests.integration.test_programs -*-
"""Where the real programs are, and which Debian package brings each.

A program or module that is missing is an error which names the package to install. C{packages.txt}
beside this file holds all of them for whoever prepares a machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: What we run or load: its name, where it is (patterns below C{/}), and its Debian package.
PARTS: Mapping[str, tuple[str, str]] = {
    "postfix": ("usr/sbin/postfix", "postfix"),
    "postconf": ("usr/sbin/postconf", "postfix"),
    "postqueue": ("usr/sbin/postqueue", "postfix"),
    "sendmail": ("usr/sbin/sendmail", "postfix"),
    "smtp-sink": ("usr/sbin/smtp-sink", "postfix"),
    "smtp-source": ("usr/sbin/smtp-source", "postfix"),
    "saslpasswd2": ("usr/sbin/saslpasswd2", "sasl2-bin"),
    "SASL mechanism SCRAM": ("usr/lib/*/sasl2/libscram.so", "libsasl2-modules"),
    "SASL plugin sasldb": ("usr/lib/*/sasl2/libsasldb.so", "libsasl2-modules-db"),
    "swaks": ("usr/bin/swaks", "swaks"),
    "Perl module Net::SSLeay": ("usr/lib/*/perl5/*/Net/SSLeay.pm", "libnet-ssleay-perl"),
    "Perl module IO::Socket::INET6": (
        "usr/share/perl5/IO/Socket/INET6.pm",
        "libio-socket-inet6-perl",
    ),
    "dovecot": ("usr/sbin/dovecot", "dovecot-core"),
    "dovecot's lmtp": ("usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
    "nsd": ("usr/sbin/nsd", "nsd"),
    "unbound": ("usr/sbin/unbound", "unbound"),
    "curl": ("usr/bin/curl", "curl"),
    "nginx": ("usr/sbin/nginx", "nginx-light"),
    "dovecot-lda": ("usr/lib/dovecot/dovecot-lda", "dovecot-core"),
    "maildrop": ("usr/bin/maildrop", "maildrop"),
    "timeout": ("usr/bin/timeout", "coreutils"),
}


class ProgramMissingError(Exception):
    """A program that the tests need is not installed."""


class RootNeededError(Exception):
    """A server must be started as root, and we are not."""


def program(name: str, root: Path = Path("/")) -> str:
    """Return the path of a program or module that the tests need.

    @param name: a key of L{PARTS}.
    @param root: where the file system of the machine begins.
    @raise ProgramMissingError: it is not installed; the text names the Debian package.
    """
    pattern, package = PARTS[name]
    for path in root.glob(pattern):
        return str(path)
    raise ProgramMissingError(f"{name} is not installed: apt-get install {package}")


def require(*names: str) -> None:
    """Check that programs and modules are there which others load by themselves.

    @raise ProgramMissingError: as L{program} does.
    """
    for name in names:
        program(name)


def require_root(who: str) -> None:
    """Check that we may start a server which drops privileges by itself.

    @raise RootNeededError: we are not root.
    """
    if os.geteuid() != 0:
        raise RootNeededError(f"{who} gives its processes users of their own: be root")
