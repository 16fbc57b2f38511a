"""Proof of a customer's consent: the document they agreed to, its hash, and what was seen of them (docs/consent.md)."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from agreements.terms import Terms

_MOST_SIGHTINGS = 10
"""A link that is opened again and again proves no more."""


class How(StrEnum):
    """How a customer agrees."""

    PROVIDER_PAGE = "provider_page"
    PORTAL = "portal"
    """On the provider's page, sent there from the customer's own page."""
    REUSED_CREDENTIAL = "reused_credential"
    """With the merchant, who named a credential the customer had given before."""


class Seen(StrEnum):
    """Where a customer was seen."""

    MERCHANT = "merchant"
    """On the merchant's own page, as the merchant says."""
    CARD_CHANGE_LINK = "card_change_link"
    PORTAL = "portal"
    CARD_PAGE = "card_page"
    """Typing a card on the engine's page."""
    RETURN = "return"
    """Coming back from the provider's page."""


class Sighting(BaseModel):
    """A customer, seen once. `at` is real time, UTC. Personal data."""

    model_config = ConfigDict(frozen=True)

    where: Seen
    at: datetime | None = None
    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None


class Evidence(BaseModel):
    """What identifies a person, or may: only ever stored sealed. `text` is what the merchant's page said."""

    model_config = ConfigDict(frozen=True)

    sightings: tuple[Sighting, ...] = ()
    text: str | None = None

    def with_sighting(self, sighting: Sighting) -> Evidence:
        """The same with one more, unless it was there already or there are ten."""
        told = {(seen.where, seen.ip, seen.user_agent) for seen in self.sightings}
        if (sighting.where, sighting.ip, sighting.user_agent) in told or len(self.sightings) >= _MOST_SIGHTINGS:
            return self
        return self.model_copy(update={"sightings": (*self.sightings, sighting)})

    def without_visitor(self) -> Evidence:
        """The same without addresses and browsers."""
        nobody = {"ip": None, "user_agent": None}
        return self.model_copy(update={"sightings": tuple(seen.model_copy(update=nobody) for seen in self.sightings)})


def document(terms: Terms, *, merchant: str, agreement: str, reference: str, payment_method: str) -> dict[str, Any]:
    """What a customer agrees to: with whom, how they pay, and the complete terms, amount and seller among them.

    Text, whole numbers, booleans and null only, so that its canonical form needs no rule for fractions.
    """
    return {
        "agreement": agreement,
        "merchant": merchant,
        "payment_method": payment_method,
        "reference": reference,
        "terms": terms.model_dump(mode="json"),
    }


def canonical(shown: dict[str, Any]) -> str:
    """A document as JSON by RFC 8785: members in order, no blanks, nothing escaped that need not be."""
    return json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
