# -*- test-case-name: tests.relay -*-
"""Relays: each takes a message one hop further, and answers for every recipient."""

from __future__ import annotations
