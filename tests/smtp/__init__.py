# -*- test-case-name: tests.smtp -*-
"""The tests of the protocol engine."""

from __future__ import annotations
