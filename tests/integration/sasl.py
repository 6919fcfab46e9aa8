# -*- test-case-name: tests.integration.test_postfix_auth -*-
"""Accounts for a Postfix that authenticates by the Cyrus SASL library.

Debian's Postfix looks for C{smtpd.conf} in C{sasl/} below its configuration directory, whatever
C{cyrus_sasl_config_path} says. The accounts are in a Berkeley DB, made by saslpasswd2, with the
plain passwords from which each mechanism computes what it needs.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.programs import program, require

_OPTIONS = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {database}
mech_list: {mechanisms}
log_level: 1
"""


def write_accounts(
    configuration: Path, realm: str, accounts: Mapping[str, str], mechanisms: Sequence[str]
) -> None:
    """Write a Postfix's SASL configuration and its accounts.

    @param configuration: Postfix's configuration directory.
    @param realm: the realm of the accounts, which is the server's C{smtpd_sasl_local_domain}.
    @param accounts: from user to password.
    @param mechanisms: what the server offers, of those that libsasl2-modules has.
    @raise tests.integration.programs.ProgramMissingError: saslpasswd2, or a plugin of the library
        is not installed.
    """
    require("SASL mechanism SCRAM", "SASL plugin sasldb")
    folder = configuration / "sasl"
    folder.mkdir()
    database = folder / "sasldb2"
    options = _OPTIONS.format(database=database, mechanisms=" ".join(mechanisms))
    (folder / "smtpd.conf").write_text(options, encoding="utf-8")
    for user, password in accounts.items():
        _add(database, realm, user, password)
    # smtpd opens it after it dropped its privileges.
    shutil.chown(database, user="postfix")


def _add(database: Path, realm: str, user: str, password: str) -> None:
    command = [program("saslpasswd2"), "-p", "-c", "-f", str(database), "-u", realm, user]
    subprocess.run(command, input=password.encode(), check=True, capture_output=True)
