# -*- test-case-name: tests.pages.test_examples -*-
"""A smart host that wants an access token in place of a password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.smtp.credentials import Credentials


def make_relay(
    host: str,
    username: str,
    fresh_token: Callable[[], Awaitable[str]],
    **more: Any,  # noqa: ANN401 - each has a type of its own
) -> StaticSmtpRelay:
    """Return a relay that asks for a token for each connection.

    It asks once more when the host did not take what it got.
    """

    async def credentials() -> Credentials:
        return Credentials(username, token=await fresh_token())

    return StaticSmtpRelay(host, 587, credentials=credentials, **more)
