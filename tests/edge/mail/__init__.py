# -*- test-case-name: tests.edge.mail -*-
"""Tests of relays behind twisted.mail's servers."""
