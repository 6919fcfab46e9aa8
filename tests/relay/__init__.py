# -*- test-case-name: tests.relay -*-
"""Tests of the relays."""
