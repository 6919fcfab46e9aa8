# -*- test-case-name: tests.relay.smtp -*-
"""Tests of the relays that speak SMTP or LMTP."""
