"""The search attributes by which operators find agreements in Temporal's UI and CLI.

Stored in clear and outside every codec: opaque ids only. The embedded server registers them at start; on any other
cluster `autodebit migrate` does (`workflows/namespace.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair

AGREEMENT_STATUS: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("AgreementStatus")
MERCHANT: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("Merchant")
GATEWAY: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("Gateway")
CUSTOMER: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("Customer")
REFERENCE: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("Reference")
NEXT_CHARGE_AT: SearchAttributeKey[datetime] = SearchAttributeKey.for_datetime("NextChargeAt")
PAST_DUE: SearchAttributeKey[bool] = SearchAttributeKey.for_bool("PastDue")

ALL: tuple[SearchAttributeKey[Any], ...] = (
    AGREEMENT_STATUS,
    MERCHANT,
    GATEWAY,
    CUSTOMER,
    REFERENCE,
    NEXT_CHARGE_AT,
    PAST_DUE,
)


def in_clear(key: SearchAttributeKey[str], merchants_id: str) -> list[SearchAttributePair[str]]:
    """An id the merchant chose, as an attribute; none where it is an e-mail address, which nothing would seal."""
    return [] if "@" in merchants_id else [SearchAttributePair(key, merchants_id)]
