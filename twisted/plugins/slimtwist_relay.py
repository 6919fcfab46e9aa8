# -*- test-case-name: tests.test_package -*-
"""What slimtwist adds to Twisted's plugins: the command ``twistd relay``.

``twistd`` imports this file to list its commands, whichever of them is run; it must therefore
import nothing of slimtwist. ``slimtwist.tap`` is loaded when the command is used.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

relay_service = ServiceMaker(
    "slimtwist relay",
    "slimtwist.tap",
    "Take mail in and hand it to its next hop.",
    "relay",
)
