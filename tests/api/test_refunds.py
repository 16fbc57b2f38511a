"""Refunds and canceled charges over HTTP: what is accepted, what is refused and why, and what the answer shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agreements.refunds import REFUNDABLE, RefundStatus
from agreements.status import AttemptStatus, ChargeStatus
from store.changes import change
from store.database import Database
from store.tables import Agreement, Attempt, Charge, Refund
from store.vault import Vault
from tests.api.conftest import Shop, activate, assert_problem
from tests.api.test_provider_news import journal_of, notify, with_attempt
from tests.gateways.antom_fixtures import result

PHP = "PHP"


def php(value: object) -> dict[str, Any]:
    return {"amount": {"currency": PHP, "value": value}}


async def a_charge(
    database: Database,
    shop: Shop,
    status: ChargeStatus = ChargeStatus.SUCCEEDED,
    attempted: AttemptStatus = AttemptStatus.SUCCEEDED,
    ago: timedelta = timedelta(0),
) -> tuple[str, str]:
    """An agreement whose first cycle of PHP 499.00 stands as told; the charge."""
    agreement_id, attempt_id = await with_attempt(database, shop, attempted)
    async with change(database, agreement_id) as locked:
        attempt = await locked.session.get_one(Attempt, attempt_id)
        attempt.finished_at, attempt.payment_id = datetime.now(UTC) - ago, f"p-{attempt_id}"
        charge = await locked.session.get_one(Charge, attempt.charge_id)
        charge.status = status
        charge.paid_at = attempt.finished_at if attempted is AttemptStatus.SUCCEEDED else None
    return agreement_id, charge.id


async def set_refund(database: Database, agreement_id: str, refund_id: str, status: RefundStatus) -> None:
    async with change(database, agreement_id) as locked:
        refund = await locked.session.get_one(Refund, refund_id)
        refund.status, refund.next_try_at = status, None


async def test_a_refund_is_answered_read_and_listed(shop: Shop, live_shop: Shop, database: Database) -> None:
    _, charge_id = await a_charge(database, shop)
    asked = await shop.post(f"/v1/charges/{charge_id}/refunds", php(10000) | {"reason": "goodwill"})
    assert asked.status_code == 201, asked.text
    made = asked.json()
    assert made.pop("id").startswith("rfd_")
    assert made.pop("created_at")
    assert made == {
        "charge": charge_id,
        "origin": "merchant",
        "kind": "refund",
        "gateway_request_id": asked.json()["id"],
        "status": "pending",
        "amount": {"currency": PHP, "value": 10000},
        "reason": "goodwill",
        "decline": None,
        "finished_at": None,
    }
    path = f"/v1/refunds/{asked.json()['id']}"
    assert (await shop.get(path)).json() == asked.json()
    assert (await shop.get(f"/v1/charges/{charge_id}")).json()["refunds"] == [asked.json()]
    assert_problem(await live_shop.get(path), 404, "not_found")
    assert_problem(await live_shop.post(f"/v1/charges/{charge_id}/refunds"), 404, "not_found")
    assert_problem(await live_shop.post(f"/v1/charges/{charge_id}/cancel"), 404, "not_found")
    assert_problem(await shop.get("/v1/refunds/rfd_nope"), 404, "not_found")
    assert_problem(await shop.http.get(path), 401, "unauthorized")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (php(0), "/amount/value"),
        (php(-1), "/amount/value"),
        (php(1.5), "/amount/value"),
        (php("100"), "/amount/value"),
        (php(49901), "/amount/value"),
        (php(99), "/amount/value"),  # GCash moves PHP 1.00 at least
        ({"amount": {"currency": "THB", "value": 100}}, "/amount/currency"),
        ({"amount": {"currency": "XYZ", "value": 100}}, "/amount/currency"),
        ({"amount": 100}, "/amount"),
        ({"reason": ""}, "/reason"),
        ({"reason": "r" * 257}, "/reason"),
        ({"value": 100}, "/value"),
    ],
)
async def test_an_amount_that_cannot_go_back_is_refused(
    shop: Shop, database: Database, body: dict[str, Any], pointer: str
) -> None:
    _, charge_id = await a_charge(database, shop)
    assert_problem(await shop.post(f"/v1/charges/{charge_id}/refunds", body), 422, "invalid_request", pointer)
    assert (await shop.get(f"/v1/charges/{charge_id}")).json()["refunds"] == []


@pytest.mark.parametrize("status", sorted(set(ChargeStatus) - set(REFUNDABLE)))
async def test_only_a_paid_charge_is_refunded(shop: Shop, database: Database, status: ChargeStatus) -> None:
    _, charge_id = await a_charge(database, shop, status)
    problem = assert_problem(await shop.post(f"/v1/charges/{charge_id}/refunds"), 409, "state_conflict")
    assert status in problem["detail"]


async def test_what_is_pending_or_unknown_counts_and_what_failed_does_not(shop: Shop, database: Database) -> None:
    agreement_id, charge_id = await a_charge(database, shop)
    path = f"/v1/charges/{charge_id}/refunds"
    first = (await shop.post(path, php(20000))).json()
    problem = assert_problem(await shop.post(path, php(29901)), 422, "invalid_request", "/amount/value")
    assert "PHP 299.00 is left" in problem["detail"]
    await set_refund(database, agreement_id, first["id"], RefundStatus.UNKNOWN)
    assert_problem(await shop.post(path, php(29901)), 422, "invalid_request", "/amount/value")
    await set_refund(database, agreement_id, first["id"], RefundStatus.FAILED)
    rest = await shop.post(path)
    assert rest.json()["amount"]["value"] == 49900
    assert_problem(await shop.post(path), 409, "state_conflict")
    assert_problem(await shop.post(path, php(100)), 409, "state_conflict")


async def test_a_repeat_gets_the_first_answer(shop: Shop, database: Database) -> None:
    _, charge_id = await a_charge(database, shop)
    path = f"/v1/charges/{charge_id}/refunds"
    first, again = [await shop.post(path, php(49900), key="once") for _ in range(2)]
    assert (again.status_code, again.text) == (201, first.text)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert_problem(await shop.post(path, php(1000), key="once"), 422, "idempotency_key_reused")
    assert_problem(await shop.http.post(path, headers=shop.bearer), 400, "idempotency_key_missing")
    assert len((await shop.get(f"/v1/charges/{charge_id}")).json()["refunds"]) == 1


@pytest.mark.parametrize(("days", "expected"), [(364, 201), (366, 409)])
async def test_the_wallets_window_is_known(shop: Shop, database: Database, days: int, expected: int) -> None:
    """GCash: 365 days (gateways/antom.md §7.2)."""
    _, charge_id = await a_charge(database, shop, ago=timedelta(days=days))
    assert (await shop.post(f"/v1/charges/{charge_id}/refunds")).status_code == expected


@pytest.mark.parametrize(
    "status", [ChargeStatus.SCHEDULED, ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED, ChargeStatus.FAILED]
)
async def test_a_charge_not_collected_is_owed_by_nobody_once_canceled(
    shop: Shop, database: Database, vault: Vault, status: ChargeStatus
) -> None:
    agreement_id, charge_id = await a_charge(database, shop, status, AttemptStatus.FAILED)
    await activate(database, vault, agreement_id, f"token of {agreement_id}")
    before = (await shop.get(f"/v1/agreements/{agreement_id}")).json()["status"]
    assert (before == "active") is (status is ChargeStatus.SCHEDULED)
    answer = await shop.post(f"/v1/charges/{charge_id}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["next_attempt_at"]) == (200, "canceled", None)
    assert (await shop.get(f"/v1/agreements/{agreement_id}")).json()["status"] == "active"
    events = (await shop.get("/v1/events", agreement=agreement_id)).json()["data"]
    assert events[-1]["type"] == "charge.canceled"
    assert events[-1]["data"]["charge"]["id"] == charge_id
    assert_problem(await shop.post(f"/v1/charges/{charge_id}/cancel"), 409, "state_conflict")


@pytest.mark.parametrize(
    ("status", "attempted"),
    [
        (ChargeStatus.PROCESSING, AttemptStatus.SENT),
        (ChargeStatus.PROCESSING, AttemptStatus.PROCESSING),
        (ChargeStatus.UNKNOWN, AttemptStatus.UNKNOWN),
        (ChargeStatus.RETRYING, AttemptStatus.UNKNOWN),
        (ChargeStatus.SKIPPED, AttemptStatus.CANCELED),
        (ChargeStatus.CANCELED, AttemptStatus.CANCELED),
        (ChargeStatus.REVERSED, AttemptStatus.REVERSED),
        (ChargeStatus.REFUNDED, AttemptStatus.SUCCEEDED),
    ],
)
async def test_what_is_in_flight_or_has_ended_is_not_canceled(
    shop: Shop, database: Database, status: ChargeStatus, attempted: AttemptStatus
) -> None:
    agreement_id, charge_id = await a_charge(database, shop, status, attempted)
    problem = assert_problem(await shop.post(f"/v1/charges/{charge_id}/cancel"), 409, "state_conflict")
    assert ("in flight" in problem["detail"]) is attempted.open
    assert (await shop.get(f"/v1/charges/{charge_id}")).json()["status"] == status
    async with database.transaction() as session:
        assert (await session.get_one(Agreement, agreement_id)).sequence == 0


async def test_what_was_carried_to_another_cycle_is_canceled_there(shop: Shop, database: Database) -> None:
    agreement_id, charge_id = await a_charge(database, shop, ChargeStatus.FAILED, AttemptStatus.FAILED)
    async with change(database, agreement_id) as locked:
        (await locked.session.get_one(Charge, charge_id)).carried_to = 2
    problem = assert_problem(await shop.post(f"/v1/charges/{charge_id}/cancel"), 409, "state_conflict")
    assert "cycle 2" in problem["detail"]


async def test_a_paid_charge_is_given_back_by_a_cancel(shop: Shop, database: Database) -> None:
    _, charge_id = await a_charge(database, shop)
    [whole] = (await shop.post(f"/v1/charges/{charge_id}/cancel")).json()["refunds"]
    assert (whole["kind"], whole["amount"]["value"], whole["status"]) == ("cancel", 49900, "pending")
    assert_problem(await shop.post(f"/v1/charges/{charge_id}/cancel"), 409, "state_conflict")


async def test_what_is_left_of_a_paid_charge_is_given_back_by_a_refund(shop: Shop, database: Database) -> None:
    """Antom refuses to cancel a payment with any refund (gateways/antom.md §3.6)."""
    _, charge_id = await a_charge(database, shop)
    await shop.post(f"/v1/charges/{charge_id}/refunds", php(10000))
    _, rest = (await shop.post(f"/v1/charges/{charge_id}/cancel")).json()["refunds"]
    assert (rest["kind"], rest["amount"]["value"]) == ("refund", 39900)


async def test_a_rest_too_small_to_go_back_is_a_matter_of_state_and_no_field_s_fault(
    shop: Shop, database: Database
) -> None:
    """GCash moves PHP 1.00 at least."""
    _, charge_id = await a_charge(database, shop)
    await shop.post(f"/v1/charges/{charge_id}/refunds", php(49895))
    for call in ("cancel", "refunds"):
        refused = assert_problem(await shop.post(f"/v1/charges/{charge_id}/{call}"), 409, "state_conflict")
        assert "PHP 0.05 is left" in refused["detail"]
        assert "errors" not in refused


async def test_a_refund_on_the_portal_is_matched_by_its_payment_within_the_account(
    shop: Shop, live_shop: Shop, database: Database
) -> None:
    """The payment must be of the account whose key signed the message; both have the same keys here."""
    agreement_id, charge_id = await a_charge(database, shop)
    attempt = (await shop.get(f"/v1/charges/{charge_id}")).json()["attempts"][0]["gateway_request_id"]
    message = result() | {
        "notifyType": "REFUND_RESULT",
        "refundStatus": "SUCCESS",
        "refundRequestId": "portal-1",
        "refundId": "r-1",
        "refundAmount": {"currency": PHP, "value": "100"},
    }
    assert (await notify(shop, message)).status_code == 200
    assert (await notify(live_shop, message | {"paymentId": f"p-{attempt}"})).status_code == 200
    assert [row.status for row in await journal_of(database, shop)] == ["unmatched"]
    assert [row.status for row in await journal_of(database, live_shop)] == ["unmatched"]
    assert (await notify(shop, message | {"paymentId": f"p-{attempt}"})).status_code == 200
    _, matched = await journal_of(database, shop)
    assert (matched.status, matched.agreement_id, matched.refund_id) == ("signalled", agreement_id, None)


async def test_news_of_a_merchants_refund_is_its_workflows(shop: Shop, database: Database) -> None:
    _, charge_id = await a_charge(database, shop)
    asked = (await shop.post(f"/v1/charges/{charge_id}/refunds", php(100))).json()
    message = result() | {
        "notifyType": "REFUND_RESULT",
        "refundStatus": "SUCCESS",
        "refundRequestId": asked["id"],
        "refundId": "r-1",
        "refundAmount": {"currency": PHP, "value": "100"},
    }
    for _ in range(10):
        assert (await notify(shop, message)).status_code == 200
    signalled, *others = await journal_of(database, shop)
    assert (signalled.status, signalled.refund_id) == ("signalled", asked["id"])
    assert {row.status for row in others} == {"duplicate"}
