"""Pivot's card encryption: what one side encrypts only the session's key opens (gateways/pay-and-save.md §3.8)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateways.pivot.cards import is_encrypted
from gateways.pivot.encryption import Undecryptable, decrypt, encrypt, public_text

KEY = generate_private_key(65537, 2048)
DEVICE = ("type", "userAgent", "ipAddress", "acceptLanguage", "cookieToken", "deviceId", "country")
PLAIN: dict[str, Any] = {
    "card": {"number": "4440000112290002", "expiryMonth": "01", "expiryYear": "39", "cvc": "123", "nameOnCard": "Sari"},
    "deviceInformations": dict.fromkeys(DEVICE, "0123456789"),
    "metadata": {"é": "ü"},
}


def parts_of(text: str) -> dict[str, str]:
    return dict(json.loads(base64.b64decode(text, validate=True)))


def joined(parts: object) -> str:
    return base64.b64encode(json.dumps(parts).encode()).decode()


def test_what_was_encrypted_is_read_again() -> None:
    assert decrypt(KEY, encrypt(public_text(KEY), PLAIN)) == PLAIN


def test_the_key_and_the_parts_have_the_documented_sizes() -> None:
    assert len(public_text(KEY)) == 392
    text = encrypt(public_text(KEY), PLAIN)
    assert 1000 < len(text) < 1600
    parts = {name: base64.b64decode(part, validate=True) for name, part in parts_of(text).items()}
    assert list(parts) == ["encryptedKey", "nonce", "ciphertext"]
    assert (len(parts["encryptedKey"]), len(parts["nonce"])) == (256, 12)
    assert len(parts["ciphertext"]) == len(json.dumps(PLAIN).encode()) + 16  # with the tag
    assert b"4440000112290002" not in b"".join(parts.values())


def test_no_text_comes_twice() -> None:
    one, two = (parts_of(encrypt(public_text(KEY), PLAIN)) for _ in range(2))
    assert one["nonce"] != two["nonce"]
    assert one["encryptedKey"] != two["encryptedKey"]


def test_the_parts_may_be_named_in_either_case() -> None:
    parts = parts_of(encrypt(public_text(KEY), PLAIN))
    assert decrypt(KEY, joined({name[0].upper() + name[1:]: part for name, part in parts.items()})) == PLAIN


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Undecryptable):
        decrypt(generate_private_key(65537, 2048), encrypt(public_text(KEY), PLAIN))


@pytest.mark.parametrize("name", ["encryptedKey", "nonce", "ciphertext"])
def test_a_changed_or_missing_part_is_noticed(name: str) -> None:
    parts = parts_of(encrypt(public_text(KEY), PLAIN))
    raw = bytearray(base64.b64decode(parts[name]))
    raw[-1] ^= 1
    with pytest.raises(Undecryptable):
        decrypt(KEY, joined(parts | {name: base64.b64encode(raw).decode()}))
    del parts[name]
    with pytest.raises(Undecryptable):
        decrypt(KEY, joined(parts))


@pytest.mark.parametrize("text", ["", "!", "bm8=", joined([]), joined({"encryptedKey": 1}), joined({"nonce": "x"})])
def test_what_is_no_encrypted_card_is_undecryptable(text: str) -> None:
    with pytest.raises(Undecryptable):
        decrypt(KEY, text)


@pytest.mark.parametrize("name", ["encryptedKey", "nonce"])
def test_only_what_has_the_form_of_an_encrypted_card_is_taken_for_one(name: str) -> None:
    """Whoever keeps it must be sure that it is no card in clear."""
    text = encrypt(public_text(KEY), PLAIN)
    parts = parts_of(text)
    assert is_encrypted(text)
    assert is_encrypted(joined({part[0].upper() + part[1:]: value for part, value in parts.items()}))
    assert not is_encrypted(joined(parts | {name: base64.b64encode(b"4440000112290002").decode()}))
    assert not is_encrypted(joined(parts | {"number": "4440000112290002"}))
    assert not is_encrypted(joined(parts | {"ciphertext": parts["ciphertext"] * 20}))


@pytest.mark.parametrize("text", ["", "4440000112290002", "é", "bm8=", joined([]), joined({"nonce": 1}), joined(None)])
def test_what_is_no_encrypted_card_is_told_without_a_key(text: str) -> None:
    assert not is_encrypted(text)


def test_an_encrypted_text_that_is_no_object_is_undecryptable() -> None:
    not_an_object: Any = ["card"]
    with pytest.raises(Undecryptable):
        decrypt(KEY, encrypt(public_text(KEY), not_an_object))


def test_a_key_of_another_kind_is_an_error() -> None:
    der = generate_ec_key(SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for text in ("", "no key", base64.b64encode(der).decode()):
        with pytest.raises(ValueError, match=r"\w"):
            encrypt(text, PLAIN)
