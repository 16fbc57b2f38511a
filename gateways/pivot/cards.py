"""Cards that a customer's browser has encrypted for Pivot (gateways/pay-and-save.md §3.8), seen from outside."""

from __future__ import annotations

import base64
import binascii
import json

_PARTS = frozenset({"encryptedkey", "nonce", "ciphertext"})
_LONGEST = 8192
_ENCRYPTED_KEY = 256
_NONCE = 12


def is_encrypted(text: str) -> bool:
    """Whether a text has the form of an `encryptedCard`. Nothing else may be kept: it could be a card in clear."""
    if len(text) > _LONGEST or not text.isascii():
        return False
    try:
        outer = json.loads(base64.b64decode(text, validate=True))
        parts = {name.lower(): base64.b64decode(part, validate=True) for name, part in outer.items()}
    except (binascii.Error, ValueError, AttributeError, TypeError):
        return False
    return parts.keys() == _PARTS and (len(parts["encryptedkey"]), len(parts["nonce"])) == (_ENCRYPTED_KEY, _NONCE)
