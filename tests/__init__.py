# -*- test-case-name: tests -*-
"""The tests of slimtwist, one module for each of the package's, and its packaging."""

from __future__ import annotations
