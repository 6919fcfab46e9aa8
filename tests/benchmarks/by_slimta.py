# -*- test-case-name: tests.integration.test_benchmarks -*-
"""Send by python-slimta's C{StaticSmtpRelay}, with as many attempts waiting as keep it busy.

C{idle_timeout} is what makes it use a connection again.  The Python that runs this is that of
L{tests.integration.web.slimta}.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from tests.benchmarks.load import CONNECTIONS, MESSAGE, RECIPIENT, SENDER, asked, done

# python-slimta asks it for its own version, and today's environments do not have it.
_PACKAGES: Any = SimpleNamespace(require=lambda _: [SimpleNamespace(version="5.0.5")])


def _send(relay: Any, envelope: Any, count: int) -> None:  # noqa: ANN401 - it has no types
    for _ in range(count):
        relay.attempt(envelope, 0)


def _run() -> None:
    sys.modules.setdefault("pkg_resources", _PACKAGES)
    import gevent  # type: ignore[import-untyped]  # noqa: PLC0415 - only after the line above
    from slimta.envelope import Envelope  # type: ignore[import-not-found]  # noqa: PLC0415
    from slimta.relay.smtp.static import (  # type: ignore[import-not-found]  # noqa: PLC0415
        StaticSmtpRelay,
    )

    port, share = asked()
    envelope = Envelope(SENDER, [RECIPIENT])
    envelope.parse(MESSAGE)
    relay = StaticSmtpRelay("127.0.0.1", port, pool_size=CONNECTIONS, idle_timeout=10.0)
    senders = [gevent.spawn(_send, relay, envelope, share) for _ in range(CONNECTIONS)]
    gevent.joinall(senders, raise_error=True)
    done()


if __name__ == "__main__":
    _run()
