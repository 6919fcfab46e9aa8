# -*- test-case-name: tests.test_package -*-
"""Mail delivery for Twisted: hands a message to its next hop and answers for every recipient.

This module holds the version, and imports nothing before it is asked for C{send}, so that
``twistd`` can list the plugin without loading an engine.  The other public names live in modules of
their own (``slimtwist.interfaces``, ``slimtwist.relay``, ``slimtwist.edge``, ...).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimtwist.sending import send

__version__ = "0.1.0"
__all__ = ["__version__", "send"]


def __getattr__(name: str) -> object:
    if name != "send":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from slimtwist.sending import send  # noqa: PLC0415 - not before it is wanted

    return send
