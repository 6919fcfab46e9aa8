# -*- test-case-name: tests.test_package -*-
"""What slimtwist adds to Twisted's plugins: the command ``twistd relay``, and relays for it.

Every program that asks Twisted for plugins imports this file; so what it names is loaded only when
it is used.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

from slimtwist.plugin import RelayMaker

relay_service = ServiceMaker(
    "slimtwist relay",
    "slimtwist.tap",
    "Take mail in and hand it to its next hop.",
    "relay",
)

mx = RelayMaker("mx", "slimtwist.relay.plugins.parse_mx")
smtp = RelayMaker("smtp", "slimtwist.relay.plugins.parse_smtp")
lmtp = RelayMaker("lmtp", "slimtwist.relay.plugins.parse_lmtp")
http = RelayMaker("http", "slimtwist.relay.http.plugin.parse_http")
https = RelayMaker("https", "slimtwist.relay.http.plugin.parse_http")
pipe = RelayMaker("pipe", "slimtwist.relay.programs.parse_pipe")
maildrop = RelayMaker("maildrop", "slimtwist.relay.programs.parse_maildrop")
dovecot_lda = RelayMaker("dovecot-lda", "slimtwist.relay.programs.parse_dovecot_lda")
blackhole = RelayMaker("blackhole", "slimtwist.relay.plugins.parse_blackhole")
fallback = RelayMaker("fallback", "slimtwist.relay.fallback.parse_fallback")
limit = RelayMaker("limit", "slimtwist.relay.limit.parse_limit")
route = RelayMaker("route", "slimtwist.relay.routing.parse_route")
