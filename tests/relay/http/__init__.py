# -*- test-case-name: tests.relay.http -*-
"""Tests of the relay to an HTTP service."""
