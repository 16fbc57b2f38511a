"""Pivot's card encryption: AES-256-GCM for the card, RSA-OAEP-SHA256 for the AES key (gateways/pay-and-save.md §3.8).

In production the customer's browser encrypts; this is for tests, for merchants in PCI scope, and for the sandbox, which
decrypts.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

_OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Undecryptable(Exception):
    """The text is not a card encrypted for this key."""


def public_text(key: RSAPrivateKey) -> str:
    """The `encryptionKey` of a session: base64 of the DER SubjectPublicKeyInfo, without PEM armour."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def encrypt(encryption_key: str, plain: dict[str, Any]) -> str:
    """The `encryptedCard` of a plaintext, for the session that handed out `encryption_key`.

    Raises ValueError when that is no RSA public key.
    """
    key = load_der_public_key(base64.b64decode(encryption_key, validate=True))
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA public key")
    secret, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)
    parts = {
        "encryptedKey": key.encrypt(secret, _OAEP),
        "nonce": nonce,
        "ciphertext": AESGCM(secret).encrypt(nonce, json.dumps(plain).encode(), None),
    }
    text = json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()})
    return base64.b64encode(text.encode()).decode()


def decrypt(key: RSAPrivateKey, encrypted_card: str) -> dict[str, Any]:
    """The plaintext of an `encryptedCard`; the names of its parts come in either case. Raises Undecryptable."""
    try:
        outer = json.loads(base64.b64decode(encrypted_card, validate=True))
        parts = {name.lower(): base64.b64decode(part, validate=True) for name, part in outer.items()}
        secret = key.decrypt(parts["encryptedkey"], _OAEP)
        plain = json.loads(AESGCM(secret).decrypt(parts["nonce"], parts["ciphertext"], None))
    except (binascii.Error, ValueError, KeyError, AttributeError, TypeError, InvalidTag) as error:
        raise Undecryptable("not a card encrypted for this session") from error
    if not isinstance(plain, dict):
        raise Undecryptable("the encrypted text is no JSON object")
    return plain
