"""Antom's signature against the worked vectors of gateways/antom.md §2.4."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote_plus, unquote_plus

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateways.antom.signing import (
    BadSignature,
    load_private_key,
    load_public_key,
    sign,
    text_to_sign,
    verify,
)

KEY = rsa.generate_private_key(65537, 2048)
SANDBOX = "SANDBOX_5X00000000000001"
REVOKE = "/ams/sandbox/api/v1/authorizations/revoke"
TOKEN = b'{"accessToken":"tok_example_0001"}'
PRETTY = b'{\n   "accessToken": "tok_example_0001"\n}'
DONE = b'{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"success."}}'
CANCELED = (
    b'{"authorizationNotifyType":"TOKEN_CANCELED","accessToken":"tok_example_0001",'
    b'"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"success"}}'
)
VECTORS = {
    "A sandbox request": (
        (REVOKE, SANDBOX, "1754006400123", TOKEN),
        (120, "56c8df83d566075ecd5e2664de63b66b1c2890643ec49326757d50cd6ea994dd"),
    ),
    "B production request": (
        ("/ams/api/v1/authorizations/revoke", "5X00000000000001", "1754006400123", TOKEN),
        (104, "d46db71e4ec301d59f470ef7971c48ee0e17644f5f1ece0f3da8869170fbce40"),
    ),
    "C response to A": (
        (REVOKE, SANDBOX, "2025-08-01T00:00:00Z", DONE),
        (174, "449de0cfe838533a77f47ceee9c59747aa0530e32b26342885b8d60a9ab5c0cd"),
    ),
    "D notification": (
        ("/hooks/antom/auth", SANDBOX, "2025-08-01T00:00:05Z", CANCELED),
        (225, "17040033231e7a84100038a6d71c97a645ea58326d8d78f2c5b76e7492ba8309"),
    ),
    "E request of the Python SDK": (
        (REVOKE, SANDBOX, "2025-08-01T00:00:00+00:00", PRETTY),
        (138, "6ffe1455a10c3c1f4900795146e6809973d95143a032f0ed27b3235415a15f86"),
    ),
    "F query and non-ASCII body": (
        ("/hooks/antom/auth?src=a%20b", SANDBOX, "1754006400123", '{"reason":"café"}'.encode()),
        (90, "0c55bb4f6ef960d95330baf460eca5e8fd78f19f35259ba99d04f433718e9f09"),
    ),
}

Parts = tuple[str, str, str, bytes]


@pytest.mark.parametrize(("parts", "expected"), VECTORS.values(), ids=VECTORS.keys())
def test_the_signed_text_is_the_documented_one(parts: Parts, expected: tuple[int, str]) -> None:
    text = text_to_sign("POST", *parts)
    assert (len(text), hashlib.sha256(text).hexdigest()) == expected


@pytest.mark.parametrize(("parts", "_expected"), VECTORS.values(), ids=VECTORS.keys())
def test_a_signature_holds_for_its_message_only(parts: Parts, _expected: tuple[int, str]) -> None:
    path, client_id, time, body = parts
    header = sign(KEY, "POST", path, client_id, time, body)
    verify(KEY.public_key(), "POST", path, client_id, time, body, header)
    altered = [
        ("GET", path, client_id, time, body),
        ("POST", path + "?", client_id, time, body),
        ("POST", path, client_id + "0", time, body),
        ("POST", path, client_id, time + "0", body),
        ("POST", path, client_id, time, body + b" "),
    ]
    for message in altered:
        with pytest.raises(BadSignature):
            verify(KEY.public_key(), *message, header)


def test_the_header_has_the_form_every_sdk_reads() -> None:
    header = sign(KEY, "POST", REVOKE, SANDBOX, "1754006400123", TOKEN)
    algorithm, version, signature = header.split(",")
    assert (algorithm, version) == ("algorithm=RSA256", "keyVersion=1")
    assert signature.count("=") == 1
    assert not set("+/") & set(signature)
    raw = base64.b64decode(unquote_plus(signature.removeprefix("signature=")), validate=True)
    text = text_to_sign("POST", REVOKE, SANDBOX, "1754006400123", TOKEN)
    assert raw == KEY.sign(text, padding.PKCS1v15(), hashes.SHA256())


def spelled(signature: str) -> dict[str, str]:
    """Spellings of the same signature that Antom's documentation and SDKs use."""
    return {
        "as sent": f"algorithm=RSA256,keyVersion=1,signature={quote_plus(signature)}",
        "blanks after commas": f"algorithm=RSA256, keyVersion=1, signature={quote_plus(signature)}",
        "another order": f"signature={quote_plus(signature)},algorithm=RSA256,keyVersion=1",
        "without key version": f"algorithm=RSA256,signature={quote_plus(signature)}",
        "not URL-encoded": f"algorithm=RSA256,keyVersion=1,signature={signature}",
        "lower-case escapes": f"algorithm=RSA256,keyVersion=1,signature={quote_plus(signature).replace('%2B', '%2b')}",
    }


def test_every_spelling_of_a_signature_is_read() -> None:
    # A body whose signature contains all characters that URL-encoding changes.
    for number in range(1000):
        body = b'{"n":"%d"}' % number
        raw = KEY.sign(text_to_sign("POST", "/x", SANDBOX, "1", body), padding.PKCS1v15(), hashes.SHA256())
        signature = base64.b64encode(raw).decode()
        if {"+", "/", "="} <= set(signature):
            break
    assert {"+", "/", "="} <= set(signature)
    for header in spelled(signature).values():
        verify(KEY.public_key(), "POST", "/x", SANDBOX, "1", body, header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "signature=",
        "algorithm=RSA256,keyVersion=1",
        "algorithm=RSA256,keyVersion=1,signature=",
        "algorithm=RSA256,keyVersion=1,signature=%%%",
        "algorithm=RSA256,keyVersion=1,signature=no base64!",
        "algorithm=RSA256,keyVersion=1,signature=QUJD",
        "algorithm=RSA256,keyVersion=1,signature=é",
        "algorithm=none,keyVersion=1,signature=QUJD",
    ],
)
def test_a_malformed_header_is_a_bad_signature(header: str) -> None:
    with pytest.raises(BadSignature):
        verify(KEY.public_key(), "POST", REVOKE, SANDBOX, "1", TOKEN, header)


def test_another_key_does_not_verify() -> None:
    other = rsa.generate_private_key(65537, 2048)
    header = sign(other, "POST", REVOKE, SANDBOX, "1", TOKEN)
    with pytest.raises(BadSignature):
        verify(KEY.public_key(), "POST", REVOKE, SANDBOX, "1", TOKEN, header)


def wrapped(text: str) -> str:
    return "\n".join(text[start : start + 64] for start in range(0, len(text), 64)) + "\n"


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_private_keys_load_from_pem_and_from_bare_base64(form: serialization.PrivateFormat) -> None:
    plain = serialization.NoEncryption()
    pem = KEY.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    bare = base64.b64encode(KEY.private_bytes(serialization.Encoding.DER, form, plain)).decode()
    for text in (pem, bare, wrapped(bare)):
        assert load_private_key(text).private_numbers() == KEY.private_numbers()


def test_public_keys_load_from_pem_and_from_bare_base64() -> None:
    public = KEY.public_key()
    for form in (serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1):
        pem = public.public_bytes(serialization.Encoding.PEM, form).decode()
        bare = base64.b64encode(public.public_bytes(serialization.Encoding.DER, form)).decode()
        for text in (pem, bare, wrapped(bare)):
            assert load_public_key(text).public_numbers() == public.public_numbers()


def test_what_is_no_rsa_key_is_refused() -> None:
    for text in ("", "rubbish", "QUJD"):
        with pytest.raises(ValueError, match="not an RSA private key"):
            load_private_key(text)
        with pytest.raises(ValueError, match="not an RSA public key"):
            load_public_key(text)
