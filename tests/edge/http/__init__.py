# -*- test-case-name: tests.edge.http -*-
"""Tests of the HTTP edge."""
