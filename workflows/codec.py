"""What Temporal stores is sealed: AES-256-GCM under a key ring, before it leaves our processes.

A whole payload is sealed, its own metadata included; the key's id stands beside it and is authenticated with it. The
newest key seals, every key opens, and payloads in clear pass, so that keys change, and sealing is switched on or off,
under running workflows.

Temporal encodes inputs, results, signals, memos, summaries, details and answers to queries this way. Messages and
stack traces of failures go the same way by the failure converter. In clear stay names of types, ids and search
attributes: no personal data belongs there.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from settings import PLAIN

ENCODING = b"binary/encrypted"
_KEY_ID = "encryption-key-id"
_NONCE_BYTES = 12


class PayloadNotOpened(Exception):
    """A sealed payload does not open: its key is not in the ring, or it was changed."""


def data_converter(keys: Sequence[SecretStr]) -> DataConverter:
    """How values become payloads: pydantic's JSON, sealed where there are keys."""
    if not keys:
        return pydantic_data_converter
    return replace(
        pydantic_data_converter,
        payload_codec=SealedPayloads(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


class SealedPayloads(PayloadCodec):
    """Seals with the first of `keys`, unless that is the word `plain`; opens with any."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        words = [key.get_secret_value() for key in keys]
        raw = [urlsafe_b64decode(word) for word in words if word != PLAIN]
        self._ring = {key_id(key): AESGCM(key) for key in raw}
        self._newest = None if words[0] == PLAIN else key_id(raw[0])

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Sealed, each under a nonce of its own."""
        return [self.seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises PayloadNotOpened; what was never sealed passes."""
        return [self.open(payload) for payload in payloads]

    def seal(self, payload: Payload) -> Payload:
        """As it is stored; one that is sealed already stays as it is."""
        if self._newest is None or is_sealed(payload):
            return payload
        nonce = os.urandom(_NONCE_BYTES)
        key = self._newest.encode()
        sealed = self._ring[self._newest].encrypt(nonce, payload.SerializeToString(), key)
        return Payload(metadata={"encoding": ENCODING, _KEY_ID: key}, data=nonce + sealed)

    def open(self, payload: Payload) -> Payload:
        """As it was. Raises PayloadNotOpened."""
        if not is_sealed(payload):
            return payload
        key = payload.metadata.get(_KEY_ID, b"")
        cipher = self._ring.get(key.decode(errors="replace"))
        if cipher is None:
            raise PayloadNotOpened(
                f"a payload is sealed with the key {key.decode(errors='replace')!r}, which is not among"
                f" AUTODEBIT_PAYLOAD_KEYS ({', '.join(self._ring)}): put it back at the end of the ring"
            )
        try:
            opened = cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], key)
        except (InvalidTag, ValueError) as error:
            raise PayloadNotOpened(f"a payload sealed with the key {key.decode()} was changed") from error
        return Payload.FromString(opened)


def is_sealed(payload: Payload) -> bool:
    """Whether it needs a key to be read."""
    return payload.metadata.get("encoding") == ENCODING


def key_id(key: bytes) -> str:
    """By which the key is found again; says nothing of it."""
    return sha256(b"autodebit payload key\0" + key).hexdigest()[:16]
