"""Antom's signature: RSASSA-PKCS1-v1_5 with SHA-256 over method, path, client id, time and the exact body bytes.

The same text is signed in both directions; only the key and the header that carries the time differ
(`request-time` on requests and notifications, `response-time` on answers). Source: gateways/antom.md, section 2.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote_plus, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey


class BadSignature(Exception):
    """The signature header is missing, malformed, or does not match the message."""


def text_to_sign(method: str, path: str, client_id: str, time: str, body: bytes) -> bytes:
    """The signed text; `path` includes the query string and excludes scheme, host and port."""
    return f"{method} {path}\n{client_id}.{time}.".encode() + body


def sign(key: RSAPrivateKey, method: str, path: str, client_id: str, time: str, body: bytes) -> str:
    """The value of the `signature` header for a message that is sent with exactly these bytes."""
    raw = key.sign(text_to_sign(method, path, client_id, time, body), padding.PKCS1v15(), hashes.SHA256())
    return f"algorithm=RSA256,keyVersion=1,signature={quote_plus(base64.b64encode(raw))}"


def verify(key: RSAPublicKey, method: str, path: str, client_id: str, time: str, body: bytes, header: str) -> None:
    """Raises BadSignature unless `header` signs exactly this message."""
    text = text_to_sign(method, path, client_id, time, body)
    try:
        key.verify(_signature_of(header), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignature("the signature does not match the message") from error


def _signature_of(header: str) -> bytes:
    """The parts come in any order, with or without blanks, and the base64 is not always URL-encoded."""
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    text = parts.get("signature", "")
    if parts.get("algorithm") != "RSA256" or not text:
        raise BadSignature("the signature header is missing or malformed")
    return base64.b64decode(unquote(text) if "%" in text else text, validate=True)


def load_private_key(text: str) -> RSAPrivateKey:
    """Reads base64 DER or PEM, PKCS#1 or PKCS#8. Raises ValueError when it is no RSA private key."""
    for pem in _as_pem(text, "PRIVATE KEY", "RSA PRIVATE KEY"):
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            continue
        if isinstance(key, RSAPrivateKey):
            return key
    raise ValueError("not an RSA private key")


def load_public_key(text: str) -> RSAPublicKey:
    """Reads base64 DER or PEM. Raises ValueError when it is no RSA public key."""
    for pem in _as_pem(text, "PUBLIC KEY", "RSA PUBLIC KEY"):
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError:
            continue
        if isinstance(key, RSAPublicKey):
            return key
    raise ValueError("not an RSA public key")


def _as_pem(text: str, *labels: str) -> list[bytes]:
    if "-----BEGIN" in text:
        return [text.strip().encode()]
    body = "".join(text.split())
    return [f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode() for label in labels]
