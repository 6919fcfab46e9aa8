# -*- test-case-name: tests.edge -*-
"""Edges: where messages come in, and where clients learn what became of them."""
