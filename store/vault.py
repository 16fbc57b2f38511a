"""The vault: secrets are sealed before they reach the database and opened for the length of one call.

Fernet (AES-CBC with HMAC-SHA256) under a key ring: the newest key seals, every key opens, `rotate` re-seals. A sealed
text names what it is for, so a value copied into another column does not open there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr


class VaultError(Exception):
    """A sealed text does not open: wrong key ring, another purpose, or it was changed."""


class Vault:
    """Seals and opens text. `keys` are Fernet keys, newest first; `hash_key` is for finding sealed tokens.

    Raises ValueError for something that is no Fernet key.
    """

    def __init__(self, keys: Sequence[SecretStr], hash_key: SecretStr) -> None:
        ring = [Fernet(key.get_secret_value()) for key in keys]
        self._newest = ring[0]
        self._ring = MultiFernet(ring)
        self._hash_key = hash_key.get_secret_value().encode()

    def seal(self, purpose: str, secret: str) -> str:
        """Encrypts and authenticates `secret`; only `open` with the same purpose gives it back."""
        return self._ring.encrypt(json.dumps([purpose, secret]).encode()).decode()

    def open(self, purpose: str, sealed: str) -> str:
        """Raises VaultError when it does not open."""
        try:
            found, secret = json.loads(self._ring.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise VaultError(f"a sealed {purpose} does not open with this key ring") from error
        if found != purpose:
            raise VaultError(f"sealed as {found}, opened as {purpose}")
        return str(secret)

    def rotate(self, sealed: str) -> str:
        """The same secret under the newest key. Raises VaultError when it does not open."""
        try:
            return self._ring.rotate(sealed.encode()).decode()
        except InvalidToken as error:
            raise VaultError("a sealed text does not open with this key ring") from error

    def is_current(self, sealed: str) -> bool:
        """Whether the newest key has sealed it, so that the others are not needed for it."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True

    def fingerprint(self, secret: str) -> str:
        """A keyed hash, equal for equal secrets, by which a sealed one is found."""
        return hmac.new(self._hash_key, secret.encode(), hashlib.sha256).hexdigest()
