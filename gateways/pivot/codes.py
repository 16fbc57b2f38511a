"""What Pivot's refusals mean, by the rulebook (`declines/pivot.toml`). Source: gateways/pay-and-save.md §6.2, §6.3."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from agreements import rulebook
from agreements.declines import Decline, DeclineCategory

_APPROVED = "00"
_ISO_8583 = re.compile(r"[0-9A-Z]{2}", re.ASCII)


def decline(failure: str | None, issuer: str | None = None, *, call: Literal["pay", "grant"] = "pay") -> Decline:
    """The refusal a code stands for today. `issuer` is the bank's own code; `grant` reads a refusal of the saved token.

    Providers answer in real time, also for agreements on a test clock: the real day decides.
    """
    detail = issuer if issuer != _APPROVED else None
    raw_code = f"{failure}:{detail}" if failure and detail else failure
    meaning = rulebook.current().meaning("pivot", raw_code, datetime.now(UTC).date(), call=call)
    return Decline(
        category=meaning.category,
        code=meaning.code,
        raw_code=raw_code,
        network_code=detail if detail and _ISO_8583.fullmatch(detail) else None,
        message=meaning.message,
    )


def not_finished(evidence: str) -> Decline:
    """The customer left their page, or let its time run out."""
    return Decline(
        category=DeclineCategory.AUTHENTICATION_REQUIRED,
        code="not_confirmed",
        raw_code=evidence,
        message="The customer did not finish the payment.",
    )


CUSTOMER_NEEDED = Decline(
    category=DeclineCategory.AUTHENTICATION_REQUIRED,
    code="customer_present",
    message="The provider debits the saved card only while the customer confirms.",
)
NOT_SAVED = Decline(
    category=DeclineCategory.INVALID_CREDENTIAL,
    code="credential_not_saved",
    message="The customer paid but did not let the provider keep the card.",
)
NO_EMAIL = Decline(
    category=DeclineCategory.REVIEW,
    code="customer_email_missing",
    message="The provider knows customers by their e-mail address, which is missing.",
)
NO_WALLETS = Decline(
    category=DeclineCategory.CONFIGURATION,
    code="wallet_tokens_off",
    message="This account may not debit saved wallets.",
)
NOT_RUPIAH = Decline(
    category=DeclineCategory.CONFIGURATION,
    code="amount_not_supported",
    message="The provider takes whole rupiah only.",
)
NOT_REFRESHABLE = Decline(
    category=DeclineCategory.INVALID_CREDENTIAL,
    code="not_refreshable",
    message="A saved card lives as long as the card: there is nothing to refresh.",
)
