# -*- test-case-name: tests.integration.test_postfix -*-
"""The configuration of a Postfix: main.cf, master.cf and lookup tables for a setup.

Every parameter that makes Postfix alter a message, ask the DNS, or slow down a client is turned
off (postconf(5)); L{tests.integration.setups.Setup.settings} has the last word on each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.integration.servers import NOBODY
from tests.integration.setups import Setup, Stage

HOSTNAME = "postfix.test"

_RESTRICTIONS: Mapping[Stage, tuple[str, tuple[str, ...]]] = {
    "connect": ("smtpd_client_restrictions", ("check_client_access",)),
    "helo": ("smtpd_helo_restrictions", ("check_helo_access",)),
    "mail": ("smtpd_sender_restrictions", ("check_sender_access",)),
    "rcpt": ("smtpd_recipient_restrictions", ("check_recipient_access",)),
    "data": ("smtpd_data_restrictions", ("check_sender_access",)),
    "end": ("smtpd_end_of_data_restrictions", ("check_sender_access", "check_recipient_access")),
}

_SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def master_cf(address: str, port: int, tls_port: int | None) -> str:
    """Return the text of master.cf: who listens, and every service, none of them chrooted."""
    lines = [f"{address}:{port} inet n - n - - smtpd"]
    if tls_port is not None:
        lines.append(f"{address}:{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes")
    return "\n".join([*lines, _SERVICES])


def main_cf(setup: Setup, top: Path) -> str:
    """Return the text of main.cf.

    @param top: the directory below which the instance lives.
    """
    parameters = {
        **_places(top),
        **_quick(),
        **_verbatim(),
        **_delivery(setup, top),
        **_restrictions(setup, top),
        **(_tls(setup, top) if setup.certificate else {}),
        **(_sasl(setup, top) if setup.authenticates else {}),
        **setup.settings,
    }
    return "".join(f"{name} = {value}\n" for name, value in parameters.items())


def tables(setup: Setup) -> Mapping[str, str]:
    """Return the texts of the lookup tables (texthash and regexp), by file name."""
    texts: dict[str, str] = dict.fromkeys(_RESTRICTIONS, "")
    for refusal in setup.refusals:
        texts[refusal.stage] += f"{refusal.key} {refusal.reply}\n"
    content = "".join(f"{pattern} {action}\n" for pattern, action in setup.content_checks.items())
    return {**texts, "content": content}


def _places(top: Path) -> dict[str, str]:
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{top}/queue",
        "data_directory": f"{top}/data",
        "maillog_file": f"{top}/log",
        "maillog_file_prefixes": f"{top}",
        "myhostname": HOSTNAME,
        "mydestination": "",
        "inet_protocols": "ipv4",
        "alias_maps": "",
        "alias_database": "",
    }


def _quick() -> dict[str, str]:
    """Return what keeps it from asking the DNS and from slowing down clients that err."""
    return {
        "smtpd_peername_lookup": "no",
        "smtp_dns_support_level": "disabled",
        "smtp_host_lookup": "native",
        "smtpd_error_sleep_time": "0",
        "smtpd_client_event_limit_exceptions": "127.0.0.0/8",
        "in_flow_delay": "0",
    }


def _verbatim() -> dict[str, str]:
    """Return what keeps it from altering messages and addresses."""
    return {
        "local_header_rewrite_clients": "",
        "message_drop_headers": "",
        "header_size_limit": "1000000000",
        "disable_mime_output_conversion": "yes",
        "cleanup_replace_stray_cr_lf": "no",
        "smtp_line_length_limit": "0",
        "lmtp_line_length_limit": "0",
    }


def _delivery(setup: Setup, top: Path) -> dict[str, str]:
    kept = setup.relay_to or "virtual"
    delivery = {
        "default_transport": kept,
        "relay_transport": kept,
        # Addresses at its own IP address.
        "local_transport": kept,
        "local_recipient_maps": "",
        "virtual_mailbox_domains": " ".join(setup.local_domains),
        "virtual_mailbox_maps": "static:inbox/",
        "virtual_mailbox_base": f"{top}/mail",
        "virtual_mailbox_limit": "0",
        "virtual_uid_maps": f"static:{NOBODY}",
        "virtual_gid_maps": f"static:{NOBODY}",
        "message_size_limit": str(setup.message_size_limit),
        "smtpd_discard_ehlo_keywords": " ".join(setup.hidden).lower(),
    }
    waits = ("queue_run_delay", "minimal_backoff_time", "maximal_backoff_time")
    return delivery | (dict.fromkeys(waits, f"{setup.retry_after}s") if setup.retry_after else {})


def _restrictions(setup: Setup, top: Path) -> dict[str, str]:
    closed = setup.authenticates or setup.client_authority is not None
    access = {
        "mynetworks": "" if closed else "127.0.0.0/8",
        "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, "
        "permit_tls_all_clientcerts, reject_unauth_destination",
        # A refusal comes at the command it is meant for, not at RCPT.
        "smtpd_delay_reject": "no",
        "smtpd_helo_required": "yes",
        "header_checks": f"regexp:{top}/tables/content",
        "body_checks": f"regexp:{top}/tables/content",
    }
    for stage, (parameter, checks) in _RESTRICTIONS.items():
        access[parameter] = ", ".join(f"{check} texthash:{top}/tables/{stage}" for check in checks)
    return access


def _tls(setup: Setup, top: Path) -> dict[str, str]:
    tls = {
        "smtpd_tls_chain_files": f"{top}/certificate.pem",
        "smtpd_tls_security_level": "encrypt" if setup.require_tls else "may",
        "smtpd_tls_loglevel": "1",
    }
    if setup.client_authority:
        tls |= {"smtpd_tls_CAfile": f"{top}/clients.pem", "smtpd_tls_ask_ccert": "yes"}
    return tls


def _sasl(setup: Setup, top: Path) -> dict[str, str]:
    by_dovecot = {"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": str(setup.auth_socket)}
    return {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_local_domain": HOSTNAME,
        "smtpd_tls_auth_only": "no" if setup.auth_in_clear else "yes",
        "cyrus_sasl_config_path": f"{top}/conf/sasl",
        **(by_dovecot if setup.auth_socket else {}),
    }
