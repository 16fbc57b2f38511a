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


class Message(Protocol):
    """What was journalled: a request as it came."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def query(self) -> Mapping[str, str]: ...


INBOXES: Mapping[str, Inbox] = MappingProxyType({"antom": antom, "ottu": ottu, "pivot": pivot})


def read(gateway: str, account: Account, *, source: str, message: Message) -> list[News]:
    """What a message says, once it is verified: a provider's `notification`, a customer's `return` from its page, or
    the `card` they entered on ours. Raises BadNotification.
    """
    if source == "card":
        return [card_entered(message.query.get("state", ""), message.body.decode(errors="replace"))]
    if source == "notification":
        return INBOXES[gateway].parse(account, message.method, message.path, message.headers, message.body)
    news = INBOXES[gateway].from_return(message.query)
    if news.authorization_state != message.path.rpartition("/")[2]:
        raise BadNotification("wrong_state")
    return [news]


def card_entered(state: str, encrypted_card: str) -> News:
    """What a customer's browser posted on our own page. Raises BadNotification for what is no encrypted card."""
    if not cards.is_encrypted(encrypted_card):
        raise BadNotification("not_encrypted")
    digest = hashlib.sha256(f"{state} {encrypted_card}".encode()).hexdigest()
    return News(NewsKind.CARD_ENTERED, f"card:{digest}", authorization_state=state, code=encrypted_card)
