# -*- test-case-name: tests.integration -*-
"""Tests against real mail servers and clients: Postfix, Dovecot, swaks, smtp-source, smtp-sink.

A test is a L{tests.integration.case.ServerCase}. It starts the servers that it needs, each in a
temporary directory, on ports of its own on the loopback, and stops them at its end::

    authority = Authority()
    postfix = self.serve(Postfix(Setup(certificate=authority.certificate("127.0.0.1"))))
    ...
    [delivered] = await postfix.arrived(1)

No service of the distribution is used or has to run. The tests want root, since Postfix and Dovecot
do, and the packages in C{packages.txt}; a program that is missing is an error, never a skipped
test.
"""

from __future__ import annotations
