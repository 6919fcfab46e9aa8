# -*- test-case-name: tests.integration.test_postfix_auth -*-
"""Access tokens for XOAUTH2 and OAUTHBEARER: JSON Web Tokens signed with a shared key.

Dovecot validates them by itself (RFC 7519, with HS256 of RFC 7518), so that no authorization server
has to run.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode


def access_token(user: str, key: bytes, lifetime: float = 300.0) -> str:
    """Return a token that names a user.

    @param user: the C{sub} claim.
    @param key: what it is signed with.
    @param lifetime: for how many seconds from now it is valid; negative if it has expired.
    """
    now = time.time()
    claims = {"sub": user, "iat": int(now) - 3600, "exp": int(now + lifetime)}
    signed = b".".join([_encoded({"alg": "HS256", "typ": "JWT"}), _encoded(claims)])
    return b".".join([signed, _base64(hmac.digest(key, signed, "sha256"))]).decode("ascii")


def _encoded(value: object) -> bytes:
    return _base64(json.dumps(value).encode())


def _base64(octets: bytes) -> bytes:
    return urlsafe_b64encode(octets).rstrip(b"=")
