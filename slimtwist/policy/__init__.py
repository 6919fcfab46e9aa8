# -*- test-case-name: tests.policy -*-
"""What may be done to a message before each attempt: headers, splitting, forwarding.

Each provides L{IRelayPolicy<slimtwist.interfaces.IRelayPolicy>}, and is run by a
L{PolicyRelay<slimtwist.relay.policy.PolicyRelay>}.
"""
