# -*- test-case-name: tests.pages -*-
"""The pages against the code: what they name exists, and what they show works."""

from __future__ import annotations
