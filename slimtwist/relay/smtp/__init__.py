# -*- test-case-name: tests.relay.smtp -*-
"""Relays that speak SMTP or LMTP."""
