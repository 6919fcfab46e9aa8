# -*- test-case-name: slimtwist_skeleton -*-
"""A relay that posts each message to a server on this host."""
