"""The journal's entries: every message as it came, sealed, because it may hold codes and tokens."""

from __future__ import annotations

from pydantic import Base64Bytes, BaseModel, ConfigDict

from store.vault import Vault

_PURPOSE = "notification"


class JournalledMessage(BaseModel):
    """A provider's notification, or the query with which a customer's browser came back from its page."""

    model_config = ConfigDict(frozen=True)

    method: str = "POST"
    path: str = ""
    headers: dict[str, str] = {}
    body: Base64Bytes = b""
    query: dict[str, str] = {}


def seal(vault: Vault, message: JournalledMessage) -> str:
    """For the journal's column."""
    return vault.seal(_PURPOSE, message.model_dump_json())


def unseal(vault: Vault, sealed: str) -> JournalledMessage:
    """Raises VaultError when it does not open."""
    return JournalledMessage.model_validate_json(vault.open(_PURPOSE, sealed))
