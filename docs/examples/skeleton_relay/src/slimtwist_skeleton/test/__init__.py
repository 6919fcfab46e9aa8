# -*- test-case-name: slimtwist_skeleton -*-
"""What the relay does, on a network in memory."""
