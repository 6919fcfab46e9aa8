# -*- test-case-name: tests.testing.test_script -*-
"""How a peer ends a connection so that what it said before is heard."""

from __future__ import annotations

from typing import Any, Final

from slimtwist.testing.flow import Cut

#: Turns for which a reset waits for the transport to have sent all; a closed window ends it too.
_PATIENCE: Final = 100


def end(transport: Any, how: Cut) -> None:  # noqa: ANN401 - a transport of Twisted's, of any kind
    """End a connection after what was written to it.

    @param how: FIN closes it, HALF closes the sending direction, RST resets it.
    """
    if how is Cut.FIN:
        transport.loseConnection()
    elif how is Cut.HALF:
        transport.loseWriteConnection()
    else:
        transport.reactor.callLater(0, _reset, transport, _PATIENCE)


def _reset(transport: Any, patience: int) -> None:  # noqa: ANN401
    """Reset once nothing is left to write; an abort drops what the kernel has not taken yet."""
    if patience and transport in transport.reactor.getWriters():
        transport.reactor.callLater(0, _reset, transport, patience - 1)
    else:
        transport.abortConnection()
