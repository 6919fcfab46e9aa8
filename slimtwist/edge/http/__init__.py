# -*- test-case-name: tests.edge.http -*-
"""The HTTP edge: takes a message with each POST, and answers with SMTP's own replies.

L{HttpEdgeFactory} is what a server endpoint listens with.
"""

from __future__ import annotations

from slimtwist.edge.http.factory import HttpEdgeFactory

__all__ = ["HttpEdgeFactory"]
