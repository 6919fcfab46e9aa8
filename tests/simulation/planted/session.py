# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects on the way to a session: hello, STARTTLS, AUTH."""

# ruff: noqa: ANN401, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slimtwist.smtp.channel import Channel
from slimtwist.smtp.connector import Connector
from slimtwist.smtp.extensions import Extensions
from slimtwist.smtp.session import Session
from tests.simulation.defects import defect, put
from tests.simulation.plan import Fault
from tests.simulation.planted.aims import sent

_INJECTED = Fault("reply", "STARTTLS 0", at=1, value="injected")
_LATER = Fault("reply", "EHLO 0", at=1, value="450")
_WRONG = Fault("reply", "AUTH 0", at=1, value="535")
_BROKEN = Fault("handshake", "peer 0", value="server")


@defect(
    "what was said before TLS is heard inside of it",
    "L2",
    aim=sent(_INJECTED, tls="opportunistic", starttls=True),
)
def _kept() -> Iterator[None]:
    def make(there: Any) -> Any:
        def judge(self: Channel, owed: list[bytes], extra: list[bytes]) -> Any:
            self._reader.__dict__["_rest"] = b"".join(each + b"\r\n" for each in extra)
            return there(self, owed, [])

        return judge

    with (
        put(Channel, "_judge", make),
        put(Channel, "_judge_rest", lambda _: lambda self, owed: None),
        put(Channel, "quiet", lambda _: lambda self: self.trouble is None),
    ):
        yield


@defect(
    "what was offered before TLS counts inside of it",
    "peer",
    aim=sent(tls="encrypt", starttls=True, offers=(), clear=("SIZE", "8BITMIME", "SMTPUTF8")),
)
def _remembered() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def hello(self: Session, *arguments: Any) -> None:
            before: Extensions = self.extensions
            await there(self, *arguments)
            if self.tls is not None:
                self.extensions = before

        return hello

    with put(Session, "_hello", make):
        yield


@defect("HELO follows when EHLO is refused for now", "peer", aim=sent(_LATER))
def _hasty_helo() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def command(self: Session, name: str, octets: bytes, wait: float) -> bytes:
            reply: bytes = await there(self, name, octets, wait)
            return b"5" + reply[1:] if octets.startswith(b"EHLO") and reply[:1] == b"4" else reply

        return command

    with put(Session, "command", make):
        yield


@defect(
    "credentials that are refused are as good as others",
    "peer",
    aim=sent(_WRONG, tls="verify", starttls=True, login=True),
)
def _anybody() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def login(self: Session, *arguments: Any) -> bytes:
            reply: bytes = await there(self, *arguments)
            return reply if reply.startswith(b"235") else b"235 2.7.0 welcome"

        return login

    with put(Session, "_login", make):
        yield


@defect(
    "plaintext follows where TLS is required, and breaks",
    "peer",
    aim=sent(_BROKEN, tls="encrypt", starttls=True),
)
def _in_clear() -> Iterator[None]:
    with put(Connector, "_may_fall_back", lambda _: lambda self, policy: True):
        yield
