"""Why a debit did not happen, in words every provider's codes are mapped to."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class DeclineCategory(StrEnum):
    """What a decline means for the next step. Sources: payment-rules §2.1-2.2, gateways/antom.md §8."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    DO_NOT_HONOR = "do_not_honor"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    EXPIRED_CARD = "expired_card"
    LOST_OR_STOLEN = "lost_or_stolen"
    CLOSED_ACCOUNT = "closed_account"
    INVALID_CREDENTIAL = "invalid_credential"
    REVOKED_BY_PAYER = "revoked_by_payer"
    AUTHENTICATION_REQUIRED = "authentication_required"
    RISK = "risk"
    CONFIGURATION = "configuration"
    """Ours or the merchant's set-up is at fault: no debit can succeed until somebody repairs it."""
    REVIEW = "review"
    """Nothing says a retry could help; a person has to look."""
    TERMS = "terms"
    """The engine itself refused: the debit would break the agreement's terms. The provider was not called."""


class Decline(BaseModel):
    """A refused debit as merchants see it. `raw_code` is the provider's own; `message` carries no personal data.

    `network_code` is the card issuer's response code (ISO 8583, two characters) and `network_advice` the network's
    advice code (Mastercard's 01-43), where the provider passes them on.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    category: DeclineCategory
    code: str
    raw_code: str | None = None
    network_code: str | None = None
    """The card network's own response code (ISO 8583), where the provider passes it on."""
    network_advice: str | None = None
    message: str | None = None
