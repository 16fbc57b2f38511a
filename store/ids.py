"""Ids: a prefix that says what it names, then a ULID, so that ids sort by the time they were made."""

from __future__ import annotations

import secrets
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new(prefix: str) -> str:
    """A fresh id, e.g. `agr_01jd3w…`: 48 bits of milliseconds and 80 random ones in Crockford's base 32."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
