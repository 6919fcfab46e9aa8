# -*- test-case-name: tests.testing.test_smarthost -*-
"""One connection of a fake mail server: hello, STARTTLS, AUTH, and what needs no state.

RFC 5321 (SMTP), 2033 (LMTP), 2920 (PIPELINING), 3207 (STARTTLS), 4954 and 4616 (AUTH PLAIN).
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Final

from slimtwist.testing.steps import Close, Send, StartTls
from slimtwist.testing.transactions import Transactions

if TYPE_CHECKING:
    from slimtwist.testing.smarthost import FakeSmarthost

#: Commands after which a client has to wait, also with PIPELINING (RFC 2920 3.1, 3207 4, 4954 4).
_LAST_IN_GROUP: Final = {"EHLO", "HELO", "LHLO", "DATA", "STARTTLS", "AUTH", "QUIT", "NOOP"}


class ServerSession(Transactions):
    """A connection.

    @ivar is_secure: whether TLS is in use.
    """

    def __init__(self, host: FakeSmarthost) -> None:
        super().__init__(host)
        self.is_secure = False

    def handshakeCompleted(self) -> None:
        """Begin again inside TLS; all that was learned before is forgotten (RFC 3207 4.2)."""
        self.is_secure = True
        self.user = self.offered = None
        self.forget()
        super().handshakeCompleted()

    def obey(self, verb: str, argument: str) -> None:
        """Carry a command out, and answer it."""
        if self.inbox and verb != "BDAT" and not self._may_go_on(verb):
            self.fail(f"{verb}: the client did not wait for the reply")
        command = {
            "EHLO": self._hello,
            "LHLO": self._hello,
            "HELO": self._hello,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self.mail,
            "RCPT": self.rcpt,
            "DATA": self.data,
            "BDAT": self.bdat,
        }.get(verb, self._simple)
        command(verb, argument)

    def _may_go_on(self, verb: str) -> bool:
        return "PIPELINING" in (self.offered or {}) and verb not in _LAST_IN_GROUP

    def _simple(self, verb: str, argument: str) -> None:
        """Answer what needs no state."""
        replies = {
            "RSET": "250 2.0.0 ok",
            "NOOP": "250 2.0.0 ok",
            "VRFY": "252 2.5.0 try it",
            "QUIT": f"221 2.0.0 {self.host.name} closing",
        }
        answered = self.answer(verb, argument, replies.get(verb, "500 5.5.1 unknown command"))
        if verb == "RSET" and answered.startswith("2"):
            self.forget()
        if verb == "QUIT":
            self.queue.append(Close())

    def _hello(self, verb: str, argument: str) -> None:
        if (verb == "LHLO") != self.host.lhlo:
            self.answer(verb, argument, "500 5.5.1 unknown command")
            return
        lines = [self.host.name, *(self._extensions() if verb != "HELO" else ())]
        default = "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        if self.answer(verb, argument, default) == "250":
            self.forget()
            self.offered = self._said_extensions() if verb != "HELO" else {}

    def _extensions(self) -> list[str]:
        """Return what is offered now."""
        offered = [line for line in self.host.extensions if line != "STARTTLS"]
        if "STARTTLS" in self.host.extensions and not self.is_secure:
            offered.append("STARTTLS")
        return [*offered, "AUTH PLAIN"] if self.host.users is not None else offered

    def _said_extensions(self) -> dict[str, str]:
        """Return the extensions in the answer that is about to be given: keyword -> parameters."""
        said = b"".join(step.octets for step in self.queue if isinstance(step, Send))
        lines = [line[4:].decode().upper() for line in said.split(b"\r\n")[1:]]
        return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines if line}

    def _starttls(self, verb: str, argument: str) -> None:
        if argument:
            self.answer(verb, argument, "501 5.5.4 no parameters")
        elif self.is_secure or "STARTTLS" not in (self.offered or {}):
            self.answer(verb, argument, "503 5.5.1 not now")
        elif self.answer(verb, argument, "220 2.0.0 go ahead") == "220":
            self.queue.append(StartTls(self.host.context))

    # AUTH PLAIN (RFC 4616).

    def _auth(self, verb: str, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        if self.offered is None or self.user is not None or self.sender is not None:
            self.answer(verb, "", "503 5.5.1 not now")
        elif mechanism.upper() != "PLAIN":
            self.answer(verb, "", "504 5.5.4 unknown mechanism")
        elif initial:
            self._check(initial)
        else:
            self.queue.append(Send(b"334 \r\n"))
            self.take = self._take_response

    def _take_response(self) -> bool:
        line = self.take_line()
        if line is None:
            return False
        self.heard(line)
        self.take = self.take_command
        self._check(line.decode("ascii", "replace"))
        return True

    def _check(self, response: str) -> None:
        try:
            _, user, password = b64decode(response, validate=True).decode().split("\0")
        except (Base64Error, ValueError):
            self.answer("AUTH", "", "501 5.5.2 cannot decode that")
            return
        known = (self.host.users or {}).get(user) == password
        default = "235 2.7.0 welcome" if known else "535 5.7.8 wrong name or password"
        if self.answer("AUTH", user, default) == "235":
            self.user = user
