"""Tests of L{slimtwist.queue}."""
