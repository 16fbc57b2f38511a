"""What an Antom account's keys mean, and their parsed form.

`Account.keys` holds `client_id`, `private_key` (the merchant's), `public_key` (Antom's) and, where the contract asks
for them, `settlement_currency` and `merchant_region`.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from gateways.antom import signing
from gateways.port import Account

REQUIRED = ("client_id", "private_key", "public_key")
OPTIONAL = ("settlement_currency", "merchant_region", "customs_succeeded", "customs_failed")


class BadKeys(Exception):
    """The account's keys are missing or unreadable: nothing can be signed or verified until an operator repairs it."""


# Parsing costs more than signing. The price of the caches is that a key stays in this process's memory after its call.
_private_key = lru_cache(maxsize=256)(signing.load_private_key)
_public_key = lru_cache(maxsize=256)(signing.load_public_key)


def client_id(account: Account) -> str:
    """The id Antom knows the merchant by. Raises BadKeys."""
    value = account.keys.get("client_id", "")
    if not value:
        raise BadKeys("client_id is missing")
    return value


def private_key(account: Account) -> RSAPrivateKey:
    """The merchant's signing key. Raises BadKeys."""
    try:
        return _private_key(account.keys["private_key"])
    except (KeyError, ValueError) as error:
        raise BadKeys("private_key is missing or unreadable") from error


def public_key(account: Account) -> RSAPublicKey:
    """Antom's key, which signs its answers and notifications. Raises BadKeys."""
    try:
        return _public_key(account.keys["public_key"])
    except (KeyError, ValueError) as error:
        raise BadKeys("public_key is missing or unreadable") from error


def check(account: Account) -> None:
    """Raises BadKeys unless every key can be used."""
    client_id(account)
    private_key(account)
    public_key(account)
