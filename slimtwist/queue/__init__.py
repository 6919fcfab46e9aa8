# -*- test-case-name: tests.queue -*-
"""Queues: they own messages between edge and relay, and say what may be promised to a client."""
