"""A merchant's accounts at the sandboxes: keys of their own, and making the sandboxes know them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Keys = dict[str, str]


def private_key() -> str:
    """A new one of the kind Antom's merchants sign with, as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    pem = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()).decode()


def fresh_keys(gateway: str, merchant: str, signing_key: Callable[[], str] = private_key) -> Keys:
    """What a new account of a merchant is known by: its id in 14 characters, and secrets nobody else has."""
    if gateway == "antom":
        return {"client_id": f"SANDBOX_5Y{merchant}", "private_key": signing_key()}
    if gateway == "ottu":
        return {"api_key": f"{secrets.token_hex(4).upper()}.{secrets.token_urlsafe(24)}", "hmac_key": _secret()}
    return {
        "client_id": f"cli-{merchant}",
        "client_secret": _secret(),
        "callback_api_key": _secret(),
        "recurring_profile": "token_never",
    }


async def register(
    client: httpx.AsyncClient, gateway: str, url: str, keys: Keys, merchant: str, name: str, notify_url: str | None
) -> Keys:
    """Makes the account known to the sandbox at `url`; its keys, completed with the sandbox's own.

    `notify_url` is where it sends what concerns no single payment. Registering again changes a registration. Raises
    httpx.HTTPError.
    """
    path, body = _registration(gateway, keys, merchant, name, notify_url)
    answer = await client.post(f"{url}/_sandbox/{path}", json=body)
    answer.raise_for_status()
    return {**keys, "public_key": answer.json()["public_key"]} if gateway == "antom" else keys


def _registration(
    gateway: str, keys: Keys, merchant: str, name: str, notify_url: str | None
) -> tuple[str, dict[str, str | None]]:
    if gateway == "ottu":
        hooks = {"webhook_url": notify_url, "operations_webhook_url": notify_url}
        return "merchants", {"merchant_id": merchant, "name": name, **keys, **hooks}
    if gateway == "pivot":
        return "clients", {"name": name, "callback_url": notify_url, **keys}
    public_key = _public_half(keys["private_key"])
    return "clients", {
        "client_id": keys["client_id"],
        "name": name,
        "public_key": public_key,
        "notify_url": notify_url,
    }


def _secret() -> str:
    return secrets.token_urlsafe(24)


@cache
def _public_half(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), password=None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
