"""How our ids travel: as `clientReferenceId` (documented as letters and digits) and as `X-REQUEST-ID`.

Our ids carry dashes and underscores (`agr_01jd3w-c1-a1`). Independent integrations were seen to send dashes, nobody
documents it (gateways/pay-and-save.md §2.1): the reference escapes what is neither a lower-case letter nor a digit, and
reads back either form.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

_ESCAPED = re.compile(r"Z([0-9a-f]{2})")
_OURS = re.compile(r"(?:[0-9a-z]|Z[0-9a-f]{2})+", re.ASCII)


def encoded(request_id: str) -> str:
    """Letters and digits only, different for different ids: `agr_1-c1-a1` is `agrZ5f1Z2dc1Z2da1`."""
    return "".join(
        char
        if char.isascii() and (char.islower() or char.isdigit())
        else "".join(f"Z{byte:02x}" for byte in char.encode())
        for char in request_id
    )


def decoded(reference: str) -> str:
    """The id behind a reference in either form; what was not written by `encoded` stays as it is."""
    if not _OURS.fullmatch(reference):
        return reference
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), reference)
    try:
        return raw.encode("latin-1").decode()
    except UnicodeDecodeError:
        return reference


def repeat_key(purpose: Literal["page", "confirm", "debit", "cancel", "refund"], request_id: str) -> str:
    """The `X-REQUEST-ID` of a call: 32 hexadecimal digits, the same for every repeat of it (gateways/pay-and-save.md
    §1.5 allows 16 to 36 letters and digits).
    """
    return hashlib.sha256(f"{purpose}:{request_id}".encode()).hexdigest()[:32]
