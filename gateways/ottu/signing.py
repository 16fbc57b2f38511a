"""Ottu's signature: lower-case hex HMAC-SHA256 over a fixed list of a message's fields, carried in its body.

Two lists exist. The standard one covers eighteen fields at the top level, but neither `session_id` nor `token`;
instances that run Ottu's own subscriptions sign eight more. Source: gateways/ottu.md §7.3.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping

STANDARD = (
    "amount",
    "currency_code",
    "customer_address_city",
    "customer_address_country",
    "customer_address_line1",
    "customer_address_line2",
    "customer_address_postal_code",
    "customer_address_state",
    "customer_email",
    "customer_first_name",
    "customer_last_name",
    "customer_phone",
    "gateway_account",
    "gateway_name",
    "order_no",
    "reference_number",
    "result",
    "state",
)
EXTENDED = tuple(
    sorted(
        (
            *STANDARD,
            "agreement.id",
            "extra.autopay.subscription_id",
            "extra.merchant_id",
            "payment_type",
            "session_id",
            "token.customer_id",
            "token.pg_code",
            "token.token",
        )
    )
)


class BadSignature(Exception):
    """The signature is missing, malformed, or does not match the message."""


def sign(message: Mapping[str, object], key: str) -> str:
    """The standard signature: every field's name followed by its value, nothing in between."""
    return _digest("".join(f"{path}{value}" for path, value in _signed(message, STANDARD)), key)


def sign_extended(message: Mapping[str, object], key: str) -> str:
    """The signature of subscription instances: one `path=value` a line."""
    return _digest("\n".join(f"{path}={value}" for path, value in _signed(message, EXTENDED)), key)


def verify(message: Mapping[str, object], key: str) -> None:
    """Raises BadSignature unless the message's own `signature` is the standard or the extended one under this key."""
    given = message.get("signature")
    if not isinstance(given, str) or not given:
        raise BadSignature("the signature is missing")
    # Bytes, since comparing text in constant time is for ASCII only, and `given` may be anything.
    candidates = (sign(message, key), sign_extended(message, key))
    if not any([hmac.compare_digest(made.encode(), _bytes(given)) for made in candidates]):
        raise BadSignature("the signature does not match the message")


def _signed(message: Mapping[str, object], paths: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """The fields that are there: neither missing, nor null, nor empty."""
    for path in paths:
        value: object = message
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None and value != "":
            yield path, value


def _digest(text: str, key: str) -> str:
    return hmac.new(_bytes(key), _bytes(text), "sha256").hexdigest()


def _bytes(text: str) -> bytes:
    # JSON may hold halves of characters, which are no reason to raise anything but BadSignature.
    return text.encode(errors="surrogatepass")
