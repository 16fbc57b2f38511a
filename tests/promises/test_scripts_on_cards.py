"""Promises 1 and 2 with cards: what the engine makes of what Ottu and Pivot may do with a renewal.

The customer's own payment is cycle 1; each script plays on the first debit of cycle 2, `success` on those after it. One
word of each kind: that every word of a provider is read rightly is tested with its connector.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.promises.support import audited
from tests.promises.test_first_payments import MORNING
from tests.support.house import House
from tests.support.shops import Shop

MONTH_END = "2027-03-30T00:00:00Z"

PAID_IN_THE_END = (
    "lost_answer_failure",
    "http_500",
)
"""A soft decline is retried, an answer that is missing is found out: the cycle is paid, once."""
UP_TO_THE_CUSTOMER = ("authentication_required",)
"""Nothing but the customer helps: no further debit, and a link for them."""
REFUSED = ("risk_reject",)
"""Never tried again by itself."""
REVOKED = ("revoked_by_payer",)

BEYOND = {("ottu", "risk_reject"), ("pivot", "revoked_by_payer")}
"""Up to the customer as well: the scheme forbids this card for good, and Pivot only says that the token is gone."""

WORDS = (*PAID_IN_THE_END, *UP_TO_THE_CUSTOMER, *REFUSED, *REVOKED)


@pytest.fixture(scope="module", params=["ottu", "pivot"])
async def month(house: House, request: pytest.FixtureRequest) -> dict[str, tuple[Shop, str]]:
    """A month of as many merchants, for what one agreement learns of a card holds for all of a merchant's."""
    at_once = asyncio.Semaphore(2)

    async def lived(words: str) -> tuple[Shop, str]:
        async with at_once:
            shop = await house.shop(request.param)
            clock = await shop.clock(MORNING)
            agreement = await shop.agree(clock, f"{words},success")
            await shop.advance(clock, MONTH_END)
            return shop, agreement

    return dict(zip(WORDS, await asyncio.gather(*map(lived, WORDS)), strict=True))


@pytest.mark.parametrize("words", WORDS)
async def test_a_renewal(month: dict[str, tuple[Shop, str]], words: str) -> None:
    shop, agreement = month[words]
    charges = {row["cycle"]: row for row in await audited(shop, agreement)}
    status, tried = charges[2]["status"], [attempt["status"] for attempt in charges[2]["attempts"]]
    debits = [row["status"] for row in await shop.ledger(agreement) if row["kind"] == "debit"][1:]
    read = await shop.read(agreement)
    if words in PAID_IN_THE_END:
        assert (status, debits.count("succeeded"), tried[-1]) == ("succeeded", 1, "succeeded")
    elif words in UP_TO_THE_CUSTOMER or (shop.gateway, words) in BEYOND:
        assert (status, tried, read["status"]) == ("action_required", ["failed"], "action_required")
        assert read["action"]["url"]
    elif words in REFUSED:
        assert (status, tried, read["status"]) == ("failed", ["failed"], "past_due")
    else:
        assert (tried, read["status"], read["revocation"]["initiator"]) == (["failed"], "revoked", "customer")
    assert charges[1]["status"] == "succeeded"
