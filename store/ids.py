"""Ids: a prefix that says what it names, then a ULID, so that ids sort by the time they were made.

Those of one process sort in the order they were made, also within a millisecond: rows written together keep their
order.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"

_last = 0
_one_at_a_time = threading.Lock()


def new(prefix: str) -> str:
    """A fresh id, e.g. `agr_01jd3w…`: 48 bits of milliseconds and 80 random ones in Crockford's base 32."""
    global _last
    with _one_at_a_time:
        _last = number = max((int(time.time() * 1000) << 80) | secrets.randbits(80), _last + 1)
    return _written(prefix, number)


def first_at(prefix: str, instant: datetime) -> str:
    """The id before which all were made that were made earlier; of nothing."""
    return _written(prefix, int(instant.timestamp() * 1000) << 80)


def made_at(id_: str) -> datetime:
    """When an id of ours was made, to the millisecond. Raises ValueError for what is none."""
    number = 0
    for letter in id_[-26:]:
        number = number << 5 | _CROCKFORD.index(letter)
    return datetime.fromtimestamp((number >> 80) / 1000, UTC)


def _written(prefix: str, number: int) -> str:
    return f"{prefix}_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
