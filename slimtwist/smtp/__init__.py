# -*- test-case-name: tests.smtp -*-
"""The protocol engine: SMTP and LMTP as clients and servers speak them.

It knows octets, dialogues, TLS and authentication, and the values that all parts share; it knows no
edge, queue, relay or pool.
"""

from __future__ import annotations
