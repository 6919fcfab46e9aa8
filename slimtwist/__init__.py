# -*- test-case-name: tests.test_package -*-
"""Mail delivery for Twisted: hands a message to its next hop and answers for every recipient.

This module holds the version and imports nothing, so that ``twistd`` can list the plugin without
loading an engine. The public names live in modules of their own (``slimtwist.interfaces``,
``slimtwist.relay``, ``slimtwist.edge``, ...).
"""

from __future__ import annotations

__version__ = "0.1.0"
