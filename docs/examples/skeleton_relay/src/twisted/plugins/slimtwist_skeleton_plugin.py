# -*- test-case-name: slimtwist_skeleton -*-
"""Makes the relay known: C{twistd relay --relay skeleton:/run/archive/socket}."""

from __future__ import annotations

from slimtwist.plugin import RelayMaker

skeleton = RelayMaker("skeleton", "slimtwist_skeleton.relay.parse")
