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

_OF_SMTP = "slimtwist.relay.arguments.ARGUMENTS"
_OF_HTTP = "slimtwist.relay.http.plugin.ARGUMENTS"
_OF_PROGRAMS = "slimtwist.relay.programs.ARGUMENTS"

mx = RelayMaker("mx", "slimtwist.relay.plugins.parse_mx", "slimtwist.relay.plugins.OF_MX")
smtp = RelayMaker("smtp", "slimtwist.relay.plugins.parse_smtp", _OF_SMTP)
lmtp = RelayMaker("lmtp", "slimtwist.relay.plugins.parse_lmtp", _OF_SMTP)
http = RelayMaker("http", "slimtwist.relay.http.plugin.parse_http", _OF_HTTP)
https = RelayMaker("https", "slimtwist.relay.http.plugin.parse_https", _OF_HTTP)
pipe = RelayMaker("pipe", "slimtwist.relay.programs.parse_pipe", _OF_PROGRAMS)
maildrop = RelayMaker("maildrop", "slimtwist.relay.programs.parse_maildrop", _OF_PROGRAMS)
dovecot_lda = RelayMaker("dovecot-lda", "slimtwist.relay.programs.parse_dovecot_lda", _OF_PROGRAMS)
blackhole = RelayMaker("blackhole", "slimtwist.relay.plugins.parse_blackhole")
fallback = RelayMaker("fallback", "slimtwist.relay.fallback.parse_fallback")
limit = RelayMaker("limit", "slimtwist.relay.limit.parse_limit")
route = RelayMaker("route", "slimtwist.relay.routing.parse_route")
headers = RelayMaker("headers", "slimtwist.relay.policies.parse_headers")
split = RelayMaker("split", "slimtwist.relay.policies.parse_split")
forward = RelayMaker("forward", "slimtwist.relay.policies.parse_forward")
