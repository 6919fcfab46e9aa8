# -*- test-case-name: tests.testing -*-
"""The tests of slimtwist.testing: the fakes have to be true before they can prove anything."""

from __future__ import annotations
