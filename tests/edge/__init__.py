"""Tests of L{slimtwist.edge}."""
