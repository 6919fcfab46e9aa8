"""How a service checks the signature of a request."""

import hashlib
import hmac
import time
from collections.abc import Sequence


def verify(
    key: bytes,
    *,
    signed_at: str,
    signature: str,
    sender: str,
    recipients: Sequence[str],
    body: bytes,
    now: float | None = None,
) -> bool:
    """Tell whether a request is from who has the key, and of these minutes."""
    lines = "".join(f"{each}\n" for each in [signed_at, sender, *recipients, ""])
    wanted = hmac.new(key, lines.encode() + body, hashlib.sha256).hexdigest()
    fresh = abs((time.time() if now is None else now) - int(signed_at)) < 300
    return fresh and hmac.compare_digest(wanted, signature)
