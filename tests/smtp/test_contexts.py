# -*- test-case-name: tests.smtp.test_contexts -*-
"""Tests of the OpenSSL contexts that policies share."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.contexts import Contexts
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from tests.smtp.certificates import issue


class ContextsTests(SynchronousTestCase):
    """A context is made once for each set of needs, and their number is bounded."""

    def test_shared(self) -> None:
        """The same needs get the same context."""
        contexts, made = Contexts(), issue()
        for needs in ((None, None), (made.identity, None), (None, made.trust)):
            self.assertIs(
                contexts.options(*needs, verified=True), contexts.options(*needs, verified=True)
            )
        self.assertEqual(len(contexts), 3)

    def test_apart(self) -> None:
        """TLS-18: other anchors, another certificate, or no verification: another context."""
        contexts, one, two = Contexts(), issue(), issue()
        made = {
            id(contexts.options(identity, trust, verified=verified).getContext())
            for identity in (None, one.identity, two.identity)
            for trust in (None, one.trust, two.trust)
            for verified in (False, True)
        }
        self.assertEqual(len(made), 18)

    def test_bounded(self) -> None:
        """L6: the one not used for the longest time goes."""
        contexts, many = Contexts(limit=3), [issue().identity for _ in range(5)]
        first = contexts.options(many[0], None, verified=False)
        for identity in many:
            contexts.options(identity, None, verified=False)
            self.assertIs(contexts.options(many[0], None, verified=False), first)
        self.assertEqual(len(contexts), 3)
        contexts.options(many[2], None, verified=False)
        contexts.options(many[1], None, verified=False)
        contexts.options(many[4], None, verified=False)
        self.assertIsNot(contexts.options(many[0], None, verified=False), first)

    def test_policies_share(self) -> None:
        """A policy replaced for another host uses the contexts of the first."""
        policy = TlsPolicy(TlsMode.ENCRYPT)
        for host in ("a.example", "b.example"):
            replace(policy, reference=host).creator(host)
            policy.creator(host)
        self.assertEqual(len(policy.contexts), 1)
