"""The sandbox's own RSA key, with which it signs as Antom would."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateways.antom.signing import load_private_key


def sandbox_key(path: Path) -> RSAPrivateKey:
    """The key kept at `path`, made on first use."""
    if path.exists():
        return load_private_key(path.read_text())
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_bytes(pem)
    os.replace(draft, path)  # whole or not at all, should the process be killed here
    return key


def public_text(key: RSAPrivateKey) -> str:
    """The public key as Antom's dashboard shows it: base64 of the DER SubjectPublicKeyInfo."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
