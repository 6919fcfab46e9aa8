# -*- test-case-name: tests.integration.test_dovecot -*-
"""A Dovecot of our own: final delivery by LMTP, and the accounts of a Postfix.

It takes mail for its users by LMTP on a TCP port and on a UNIX socket, and delivers to Maildirs. A
recipient whom it does not know is 550 5.1.1 at RCPT; one who is over quota is 552 5.2.2 after the
end of data, or 452 4.2.2 with C{quota_defers}. Only the part before the C{@} matters.

Its C{auth_socket} authenticates the clients of a L{tests.integration.postfix.Postfix}: PLAIN,
LOGIN, CRAM-MD5, SCRAM-SHA-256 with passwords, XOAUTH2 and OAUTHBEARER with an access token
(L{Dovecot.token}). Mind that Dovecot 2.3.19 never answers an OAUTHBEARER whose token is not of the
form of a JWT; one that expired or has a false signature it refuses.

Messages are stored with CRLF line ends. What Dovecot alters by itself, as C{test_dovecot} measures
it: it puts a Return-Path before the message, and a bare LF becomes CRLF. Bare CRs, NULs and 8-bit
octets stay.
"""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration import maildir
from tests.integration.certificates import Certificate
from tests.integration.maildir import Delivered
from tests.integration.programs import program, require, require_root
from tests.integration.servers import NOBODY, ServerProcess, accepting, free_port, listening
from tests.integration.tokens import access_token

_KEY = b"a key that is known to the test, only"

_CONFIGURATION = """\
base_dir = {top}/run
state_dir = {top}/state
log_path = {top}/log
protocols = lmtp
hostname = dovecot.test
postmaster_address = postmaster@dovecot.test
mail_location = maildir:~/Maildir
mail_save_crlf = yes
mail_plugins = quota
first_valid_uid = 100
auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2 oauthbearer
auth_username_format = %n
auth_failure_delay = 0
disable_plaintext_auth = no
lmtp_hdr_delivery_address = none
lmtp_add_received_header = no
quota_full_tempfail = {tempfail}
plugin {{
  quota = maildir:User quota
}}
passdb {{
  driver = passwd-file
  args = {top}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {top}/oauth2.conf
}}
userdb {{
  driver = passwd-file
  args = {top}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {top}/lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener {top}/auth {{
    mode = 0666
  }}
}}
# Else who failed to authenticate waits ever longer.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
{tls}
"""

_TLS = """\
ssl = yes
ssl_cert = <{top}/certificate.pem
ssl_key = <{top}/certificate.pem
"""

_OAUTH2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={top}/keys/
username_attribute = sub
"""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has a mailbox.

    @ivar name: the part before the C{@}.
    @ivar password: for SASL.
    @ivar quota: how many octets the mailbox holds; 1 for one that is full; 0 for no limit.
    """

    name: str
    password: str = "secret"
    quota: int = 0


class Dovecot:
    """A private Dovecot.

    @ivar name: what it is, and its port.
    @ivar port: where it takes LMTP on 127.0.0.1.
    @ivar socket: the UNIX socket where it takes LMTP.
    @ivar auth_socket: the UNIX socket for Postfix.

    @param users: who has a mailbox.
    @param quota_defers: refuse by 4yz who is over quota.
    @param certificate: offer STARTTLS with it.
    """

    def __init__(
        self,
        users: Sequence[User],
        *,
        quota_defers: bool = False,
        certificate: Certificate | None = None,
    ) -> None:
        self._users = users
        self._quota_defers = quota_defers
        self._certificate = certificate
        self.port = free_port()
        self.name = f"dovecot-{self.port}"
        self._process = ServerProcess(self.name)
        self._top = self._process.directory
        self.socket = self._top / "lmtp"
        self.auth_socket = self._top / "auth"

    def start(self) -> None:
        """Write the configuration, start it and wait until it listens.

        @raise tests.integration.servers.ServerFailedError: it did not; the text is its log.
        @raise tests.integration.programs.ProgramMissingError: Dovecot is not installed.
        @raise tests.integration.programs.RootNeededError: we are not root.
        """
        require_root("Dovecot")
        require("dovecot's lmtp")
        self._write()
        command = [program("dovecot"), "-F", "-c", str(self._top / "dovecot.conf")]
        self._process.start(command, self._listens)

    def _listens(self) -> bool:
        sockets = (self.socket, self.auth_socket)
        return listening("127.0.0.1", self.port) and all(map(accepting, sockets))

    def _write(self) -> None:
        top = self._top
        keys = top / "keys" / "default" / "HS256"
        for folder in (keys, top / "mail", top / "run", top / "state"):
            folder.mkdir(parents=True)
        shutil.chown(top / "mail", user=NOBODY)
        if self._certificate:
            self._certificate.save(top / "certificate.pem")
        texts = {
            top / "dovecot.conf": self._configuration(),
            top / "oauth2.conf": _OAUTH2.format(top=top),
            top / "users": "".join(map(self._account, self._users)),
            keys / "default": b64encode(_KEY).decode("ascii"),
        }
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")

    def _configuration(self) -> str:
        tls = _TLS.format(top=self._top) if self._certificate else "ssl = no"
        tempfail = "yes" if self._quota_defers else "no"
        return _CONFIGURATION.format(top=self._top, port=self.port, tls=tls, tempfail=tempfail)

    def _account(self, user: User) -> str:
        """Return a line for passwd-file: name, password, uid, gid, home, and quota."""
        home = self._top / "mail" / user.name
        quota = f"userdb_quota_rule=*:bytes={user.quota}" if user.quota else ""
        return f"{user.name}:{{PLAIN}}{user.password}:{NOBODY}:{NOBODY}::{home}::{quota}\n"

    def stop(self) -> None:
        """End all its processes, and remove its directory with every message."""
        self._process.stop()

    def log(self) -> str:
        """Return its log."""
        return self._process.log()

    def messages(self, user: str) -> list[Delivered]:
        """Return what is in a user's mailbox, in the order of delivery.

        A message is there when its client has the final reply. The C{recipient} of each is empty.
        """
        files: list[Path] = maildir.files(self._top / "mail" / user / "Maildir")
        return [maildir.parse(path.read_bytes(), crlf=True) for path in files]

    @staticmethod
    def token(user: str, *, lifetime: float = 300.0, key: bytes = _KEY) -> str:
        """Return an access token that Dovecot takes for a user.

        @param lifetime: in seconds; negative for one that has expired.
        @param key: another one makes a false signature.
        """
        return access_token(user, key, lifetime)
