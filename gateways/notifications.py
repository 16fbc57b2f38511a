"""Providers' messages and customers' cards: which module reads whose. Free of the HTTP client: the API imports it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from gateways.antom import notifications as antom
from gateways.ottu import notifications as ottu
from gateways.pivot import cards
from gateways.pivot import notifications as pivot
from gateways.port import Account, BadNotification, News, NewsKind


class Inbox(Protocol):
    """How one provider's messages are verified, read and answered."""

    ACKNOWLEDGED: bytes
    """The body that tells the provider not to send the message again, with HTTP 200."""

    def parse(self, account: Account, method: str, path: str, headers: Mapping[str, str], body: bytes) -> list[News]:
        """Raises BadNotification unless the message is the provider's and can be read."""

    def refusal(self, code: str) -> tuple[int, bytes]:
        """HTTP status and body for a BadNotification, in the provider's own format."""

    def from_return(self, query: Mapping[str, str]) -> News:
        """What a customer brought back from the provider's page. Raises BadNotification."""


INBOXES: Mapping[str, Inbox] = MappingProxyType({"antom": antom, "ottu": ottu, "pivot": pivot})


def card_entered(state: str, encrypted_card: str) -> News:
    """What a customer's browser posted on our own page. Raises BadNotification for what is no encrypted card."""
    if not cards.is_encrypted(encrypted_card):
        raise BadNotification("not_encrypted")
    digest = hashlib.sha256(f"{state} {encrypted_card}".encode()).hexdigest()
    return News(NewsKind.CARD_ENTERED, f"card:{digest}", authorization_state=state, code=encrypted_card)
