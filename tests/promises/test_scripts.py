"""Promises 1 and 2: what the engine makes of everything a provider may do with the first debit of a month.

Each script plays on the first debit, `success` on those after it. The month is over when the next debit is due.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.promises.support import START, audited, types
from tests.support.house import House, Shop

MONTH_END = "2027-02-27T00:00:00Z"
AUTHORIZED = ["agreement.authorization_requested", "agreement.authorized", "agreement.activated"]
RETRIED = ["charge.retry_scheduled", "agreement.past_due", "charge.succeeded"]
PAID = ["charge.succeeded"]


@dataclass(frozen=True)
class Month:
    """What is left of a month: the charge, its attempts, the rules that decided, the events, the provider's ledger."""

    status: str
    attempts: list[str]
    rules: list[str]
    events: list[str]
    ledger: list[str]
    agreement: str = "active"


def paid_at_once(*events: str) -> Month:
    return Month("succeeded", ["succeeded"], [], [*events, "charge.succeeded"], ["succeeded"])


def retried(rule: str, *before: str) -> Month:
    return Month("succeeded", ["failed", "succeeded"], [rule], [*before, *RETRIED], ["failed", "succeeded"])


def customer_must_act(rule: str) -> Month:
    reminded = ["card_change.reminder"] * 2  # at a third and at two thirds of the customer's thirty days
    events = ["charge.action_required", "card_change.requested", "agreement.action_required", *reminded]
    return Month("action_required", ["failed"], [rule], events, ["failed"], "action_required")


def given_up(rule: str) -> Month:
    return Month("failed", ["failed"], [rule], ["charge.failed", "agreement.past_due"], ["failed"], "past_due")


MONTHS = {
    "success": paid_at_once(),
    "insufficient_funds": retried("insufficient_funds_ladder"),
    "limit_exceeded": retried("limit_next_local_day"),
    "issuer_unavailable": retried("issuer_unavailable_backoff"),
    "do_not_honor": given_up("person_must_review"),
    "expired_card": customer_must_act("closed_account_never_retried"),
    "lost_card": customer_must_act("closed_account_never_retried"),
    "stolen_card": customer_must_act("closed_account_never_retried"),
    "closed_account": customer_must_act("closed_account_never_retried"),
    "authentication_required": customer_must_act("payer_must_authenticate"),
    "risk_reject": given_up("risk_never_retried"),
    "invalid_token": Month(
        "succeeded",
        ["failed", "succeeded"],
        ["refresh_then_retry"],
        ["charge.retry_scheduled", "agreement.past_due", "credential.refreshed", "charge.succeeded"],
        ["failed", "succeeded"],
    ),
    "processing_then_success": paid_at_once(),
    "processing_then_failure": retried("insufficient_funds_ladder"),
    "lost_answer_success": paid_at_once("charge.unknown"),
    "lost_answer_failure": retried("insufficient_funds_ladder", "charge.unknown"),
    "timeout": paid_at_once("charge.unknown"),
    "http_500": paid_at_once("charge.unknown"),
    "garbage": paid_at_once("charge.unknown"),
    "bad_signature": paid_at_once("charge.unknown"),
    "double_notification": paid_at_once(),
    "late_notification": paid_at_once(),
    "shuffled_notifications": paid_at_once(),
    "UNKNOWN_EXCEPTION": paid_at_once("charge.unknown"),
}


@pytest.fixture(scope="module")
async def month(house: House) -> tuple[Shop, dict[str, str]]:
    """One month of many agreements on one clock, each with a script of its own; their ids by script."""
    shop = await house.shop()
    clock = await shop.clock(START)
    agreements = {words: await shop.agree(clock, f"{words},success") for words in MONTHS}
    await shop.advance(clock, MONTH_END)
    return shop, agreements


@pytest.mark.parametrize("words", MONTHS)
async def test_a_month(month: tuple[Shop, dict[str, str]], words: str) -> None:
    shop, agreement = month[0], month[1][words]
    charge = next(row for row in await audited(shop, agreement) if row["cycle"] == 1)
    found = Month(
        status=charge["status"],
        attempts=[attempt["status"] for attempt in charge["attempts"]],
        rules=[attempt["decision"]["rule"] for attempt in charge["attempts"] if attempt["decision"]],
        events=[type_ for type_ in await types(shop, agreement) if type_ not in AUTHORIZED],
        ledger=[row["status"] for row in await shop.ledger(agreement)],
        agreement=(await shop.read(agreement))["status"],
    )
    assert found == MONTHS[words]


async def test_a_month_in_which_the_payer_revokes(shop: Shop) -> None:
    """The debit is refused and the provider tells that the authorization is gone: no further debit, no revoke call."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "revoked_by_payer,success")
    await shop.advance(clock, MONTH_END)
    await audited(shop, agreement)
    read = await shop.read(agreement)
    assert read["status"] == "revoked"
    assert (read["revocation"]["initiator"], read["revocation"]["provider_status"]) == ("customer", "done")
    assert {row["status"] for row in await shop.ledger(agreement)} == {"failed"}
    assert (await types(shop, agreement)).count("agreement.revoked") == 1


async def test_a_month_without_any_answer(shop: Shop) -> None:
    """Unknown is neither failed nor paid, asked about ever more rarely, and never debited twice when it ends."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "http_500,http_500,timeout,http_500,success")
    await shop.advance(clock, "2027-01-31T01:01:00Z")
    assert (await shop.charges(agreement))[0]["status"] == "unknown"
    await shop.advance(clock, MONTH_END)
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded"]
    await audited(shop, agreement)
    assert await types(shop, agreement, "charge.") == ["charge.unknown", *PAID]
