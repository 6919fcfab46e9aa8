# -*- test-case-name: tests.relay.http -*-
"""The relay to an HTTP service: L{HttpRelay}, and what goes over the wire and what it means."""

from __future__ import annotations

from slimtwist.relay.http.relay import HttpRelay
from slimtwist.relay.http.request import Names, Secrets
from slimtwist.relay.http.result import SPARED, STATUSES

__all__ = ["SPARED", "STATUSES", "HttpRelay", "Names", "Secrets"]
