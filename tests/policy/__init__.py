# -*- test-case-name: tests.policy -*-
"""The tests of C{slimtwist.policy}."""
