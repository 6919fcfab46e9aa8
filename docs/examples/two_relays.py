# -*- test-case-name: tests.test_documentation -*-
"""Two relays with different ways, in one process."""

from __future__ import annotations

from twisted.application.service import MultiService

from slimtwist.assembly import assemble
from slimtwist.choices import Choices
from slimtwist.runtime import Runtime


def make_service(runtime: Runtime) -> MultiService:
    """Return a parent with two relays: one for our programs, one for our domain's mail."""
    programs = Choices(
        relay="smtp:smarthost.example.com:port=587",
        smtp=["tcp:2525:interface=127.0.0.1"],
    )
    domain = Choices(
        relay="smtp:mailbox.example.com:port=10025",
        smtp=["tcp:25"],
        accept=["example.com"],
    )
    parent = MultiService()
    for choices in (programs, domain):
        assemble(choices, runtime).setServiceParent(parent)
    return parent
