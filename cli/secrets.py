"""`autodebit secrets`: what a deployment has to keep to itself, drawn once and never again.

The file is read by Docker Compose as `.env`, and by a person who puts its values into another keeper of secrets.
"""

from __future__ import annotations

import secrets as drawn
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values

from cli.private_files import write_private

_OTHERS_MAY = 0o077


def _password() -> str:
    """Letters and digits only: it becomes part of addresses and of shell words."""
    return drawn.token_hex(24)


def _key() -> str:
    """32 bytes in base64, as the vault and the codec of payloads take them."""
    return Fernet.generate_key().decode()


SECRETS: dict[str, tuple[str, Callable[[], str]]] = {
    "POSTGRES_PASSWORD": ("PostgreSQL's superuser.", _password),
    "AUTODEBIT_DATABASE_PASSWORD": ("The engine's role in PostgreSQL.", _password),
    "TEMPORAL_DATABASE_PASSWORD": ("Temporal's role in PostgreSQL.", _password),
    "AUTODEBIT_VAULT_KEYS": (
        "The vault's ring, newest first. Lost with every backup of it: the tokens are lost.",
        _key,
    ),
    "AUTODEBIT_VAULT_HASH_KEY": ("By its hashes sealed tokens are found. Never changes.", _password),
    "AUTODEBIT_PAYLOAD_KEYS": ("The ring of what Temporal's histories are sealed with, newest first.", _key),
    "AUTODEBIT_CODEC_SERVER_KEY": ("Operators show it to read histories in Temporal's UI.", _password),
    "AUTODEBIT_METRICS_KEY": ("Whoever scrapes the API's /metrics shows it.", _password),
}
"""Every variable that has no default anywhere: what it is for, and how it is drawn."""


class TooOpen(Exception):
    """Others than the owner may read the file."""


def write_secrets(path: Path) -> list[str]:
    """Adds what is missing to the file, and answers the names; what stands there stays, letter by letter.

    A variable without a value is missing: no secret may be empty. Raises TooOpen before anything is written.
    """
    before = path.read_text() if path.exists() else ""
    if before and path.stat().st_mode & _OTHERS_MAY:
        raise TooOpen(f"{path} can be read by others: chmod 600 {path}")
    known = dotenv_values(path) if before else {}
    missing = [name for name in SECRETS if not known.get(name)]
    if missing:
        gap = "" if not before or before.endswith("\n") else "\n"
        drawn_now = "".join(f"# {SECRETS[name][0]}\n{name}={SECRETS[name][1]()}\n" for name in missing)
        write_private(path, before + gap + drawn_now)
    return missing
