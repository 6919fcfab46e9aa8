# -*- test-case-name: tests.compare.test_clients -*-
"""Programs that hand messages to a server, each by another client, and tell what it said of them.

Each is run as a module, by the Python of that client's own environment, from the root of the
checkout; so they import nothing but L{tests.compare.clients.driver} and what they are about.
"""
