# -*- test-case-name: tests.integration.test_delivery_agent -*-
"""The page "Being a mail delivery agent" does what it says: its own commands, its own filter.

Only what a test must have elsewhere is replaced in them: ports, paths, and the user of C{twistd},
which must enter the folder of the tests.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration import maildir
from tests.integration.daemons import DaemonCase, RelayDaemon, below_trace
from tests.integration.dialogue import Said, in_thread, send, session
from tests.integration.dovecot import Dovecot, User
from tests.integration.programs import require, require_root
from tests.integration.servers import NOBODY

_PAGE = Path(__file__).parents[2] / "docs" / "delivery-agent.rst"
_MESSAGE = b"Subject: x\r\n\r\n.\r\nhello \xc3\xa4\r\n"


def _arguments(title: str, changes: Mapping[str, str]) -> list[str]:
    """Return the arguments of C{relay} in the command below a title, but for where it listens."""
    _, section = re.split(rf"\n{re.escape(title)}\n-+\n", _PAGE.read_text(encoding="utf-8"))
    command = section[section.index("    twistd ") :].split("\n\n")[0].replace("\\\n", "")
    for old, new in changes.items():
        if old not in command:
            raise ValueError(f"{old} is not in {command}")
        command = command.replace(old, new)
    _, _, arguments = command.partition(" relay --smtp tcp:25 ")
    return shlex.split(arguments)


def _filter() -> str:
    """Return the filter for maildrop."""
    _, text = _PAGE.read_text(encoding="utf-8").split("This filter, ")
    block = text[text.index(".. code-block:: none") :].split("\n\n", 1)[1]
    lines = block.split("\n\nUsers of this host")[0].splitlines()
    return "".join(f"{line[4:]}\n" for line in lines)


def _send_all(port: int, recipients: Sequence[str]) -> list[Said]:
    with session(port) as smtp:
        return [send(smtp, "s@a.test", [each], _MESSAGE) for each in recipients]


class DeliveryAgentTests(DaemonCase):
    """Mail for local users by ESMTP, into their mailboxes."""

    async def told(self, relay: RelayDaemon, *names: str) -> list[str]:
        """Send a message to each of these users; return the code and the enhanced code."""
        recipients = [f"{name}@example.com" for name in names]
        found = await in_thread(_send_all, relay.port, recipients)
        return [f"{code} {text.split()[0]}" for code, text in found]

    def started(self, title: str, changes: Mapping[str, str]) -> RelayDaemon:
        """Start a relay as the page says."""
        return self.serve(RelayDaemon(*_arguments(title, changes)))

    def stored(self, dovecot: Dovecot) -> bytes:
        """Return the only message of a user, below the fields of the last station."""
        [message] = dovecot.messages("you")
        field, _, rest = (message.own + message.octets).partition(b"\r\n")
        self.assertEqual(b"Return-Path: <s@a.test>", field)
        protocol, octets = below_trace(rest)
        self.assertEqual("ESMTP", protocol)
        return octets

    async def test_lmtp(self) -> None:
        """By LMTP to Dovecot."""
        dovecot = self.serve(Dovecot([User("you"), User("full", quota=1)]))
        changes = {"/run/dovecot/lmtp": str(dovecot.socket)}
        relay = self.started("By Dovecot's LMTP server", changes)
        found = await self.told(relay, "you", "nobody", "full")
        self.assertEqual(["250 2.0.0", "550 5.1.1", "552 5.2.2"], found)
        self.assertEqual(_MESSAGE, self.stored(dovecot))

    async def test_agent(self) -> None:
        """By Dovecot's delivery agent, as the owner of all mailboxes."""
        dovecot = self.serve(Dovecot([User("you"), User("full", quota=1)]))
        (dovecot.socket.parent / "log").chmod(0o666)
        changes = {"/etc/dovecot/dovecot.conf": str(dovecot.socket.parent / "dovecot.conf")}
        relay = self.started("By Dovecot's delivery agent", changes)
        found = await self.told(relay, "you", "nobody", "full")
        self.assertEqual(["250 2.0.0", "554 5.1.1", "554 5.7.0"], found)
        self.assertEqual(_MESSAGE, self.stored(dovecot))

    async def test_maildrop(self) -> None:
        """By maildrop, with the filter of the page."""
        require_root("maildrop")
        require("maildrop")
        top = _mailboxes(self.mktemp())
        relay = self.started("By maildrop", {"/etc/relay/filter": str(top / "filter")})
        found = await self.told(relay, "you", "nobody", "../you", "you2")
        self.assertEqual(["250 2.0.0", "554 5.1.1", "554 5.1.1", "554 5.1.1"], found)
        [path] = maildir.files(top / "you")
        message = maildir.parse(path.read_bytes())
        self.assertEqual((b"Return-Path: <s@a.test>", _MESSAGE), (message.own[:23], message.octets))


def _mailboxes(folder: str) -> Path:
    """Make a folder with a mailbox, and the filter that delivers to it."""
    top = Path(folder).resolve()
    for name in ("new", "cur", "tmp"):
        (top / "you" / name).mkdir(parents=True)
    (top / "filter").write_text(_filter().replace("/var/vmail", str(top)))
    (top / "filter").chmod(0o600)
    for path in (top, *top.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for parent in top.parents[:4]:
        parent.chmod(0o755)
    return top
