# -*- test-case-name: tests.faults -*-
"""Every fault at every point of a dialogue: cuts at each octet, each odd reply, hostile octets.

What must follow is written down as data, from the laws of a delivery, and compared with what the
program did.  A witness judges from what went over the wire and what the peer stored; he shares no
parser with the program.
"""

from __future__ import annotations
