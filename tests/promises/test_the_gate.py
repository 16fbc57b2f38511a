"""Promises 3, 4 and 10: what was stopped is not debited, and an end is brought to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.contract import NewsInput, StepInput
from activities.news import ProviderNews
from agreements.status import AttemptStatus, ChargeStatus
from store.merchants import opened_keys, sealed_keys
from store.tables import Authorization, GatewayAccount, Notification
from tests.gateways.antom_fixtures import public_text
from tests.promises.support import (
    START,
    agreement_row,
    attempts,
    audited,
    by_hand,
    charge_row,
    charge_step,
    credential,
    faults,
    types,
    until,
    unwatched,
    workflow_closed,
)
from tests.support.house import Shop, agreement_body
from workflows.messages import agreement_workflow_id

DUE = "2027-01-31T01:00:00Z"


async def command(shop: Shop, agreement: str, name: str, body: Any = None, expect: int = 200) -> dict[str, Any]:
    return await shop.call("POST", f"/v1/agreements/{agreement}/{name}", body, expect)


async def running(shop: Shop, agreement: str) -> bool:
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    return (await handle.describe()).close_time is None


async def provider_status(shop: Shop, agreement: str) -> str:
    return str((await shop.read(agreement))["revocation"]["provider_status"])


@pytest.mark.parametrize(("name", "left"), [("pause", AttemptStatus.PREPARED), ("revoke", AttemptStatus.CANCELED)])
async def test_a_stop_between_prepare_and_send_stops(shop: Shop, name: str, left: AttemptStatus) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house, opens=True) as hand:

        async def stopped() -> None:
            await command(shop, agreement, name)

        hand.between_prepared_and_sent(stopped)
        await hand.charge(await charge_step(shop.house, agreement, at))
        assert hand.gateway.calls == []
    assert await shop.ledger(agreement) == []
    assert [attempt.status for attempt in await attempts(shop.house, agreement)] == [left]
    await audited(shop, agreement)


async def test_a_pause_before_the_send_ends_with_one_debit(shop: Shop) -> None:
    """The attempt that waited prepared is the one that is sent after the pause."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house, opens=True) as hand:

        async def paused() -> None:
            await command(shop, agreement, "pause")

        hand.between_prepared_and_sent(paused)
        await hand.charge(await charge_step(shop.house, agreement, at))
    await command(shop, agreement, "resume", {"missed_cycles": "collect"})
    await shop.advance(clock, "2027-01-31T02:00:00Z")
    [debit] = await shop.ledger(agreement)
    assert (debit["request_id"], debit["status"]) == (f"{agreement}-c1-a1", "succeeded")
    await audited(shop, agreement)


async def test_an_amount_beyond_the_terms_is_not_sent(shop: Shop) -> None:
    """The terms are read again under the lock that sends: what somebody wrote into the rows does not pass."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"total_cycles": 1})
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house, opens=True) as hand:

        async def raised() -> None:
            async with shop.house.database.transaction() as session:
                [attempt] = await attempts(shop.house, agreement)
                session.add(attempt)
                attempt.amount += 1

        hand.between_prepared_and_sent(raised)
        await hand.charge(await charge_step(shop.house, agreement, at))
        assert hand.gateway.calls == []
    assert await shop.ledger(agreement) == []
    assert (await charge_row(shop.house, agreement)).status is ChargeStatus.FAILED
    assert (await shop.read(agreement))["status"] == "completed"


async def test_a_debit_in_process_is_canceled_on_revocation(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "processing_then_success")
    await shop.advance(clock, DUE)
    assert (await attempts(shop.house, agreement))[0].status is AttemptStatus.PROCESSING
    assert (await command(shop, agreement, "revoke"))["status"] == "revoked"
    await workflow_closed(shop, agreement)
    [charge] = [row for row in await audited(shop, agreement) if row["attempts"]]
    assert (charge["status"], charge["attempts"][0]["status"]) == ("canceled", "canceled")
    assert [(row["kind"], row["status"]) for row in await shop.ledger(agreement)] == [
        ("debit", "failed"),
        ("cancel", "succeeded"),
    ]
    assert await provider_status(shop, agreement) == "done"
    assert (await credential(shop, agreement))["status"] == "revoked"


async def test_a_debit_that_succeeds_after_the_revocation_is_given_back(shop: Shop) -> None:
    """The revocation commits while the debit's answer is on the wire: the provider took the money first."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house) as hand:

        async def revoked() -> None:
            await command(shop, agreement, "revoke")

        hand.gateway.after = revoked
        await hand.charge(await charge_step(shop.house, agreement, at))
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    await workflow_closed(shop, agreement)
    [charge] = [row for row in await audited(shop, agreement) if row["attempts"]]
    assert (charge["status"], charge["attempts"][0]["status"]) == ("reversed", "reversed")
    assert [(row["kind"], row["status"]) for row in charge["refunds"]] == [("cancel", "succeeded")]
    assert await types(shop, agreement, "charge.reversed", "refund.") == ["charge.reversed", "refund.succeeded"]


async def test_the_provider_is_told_until_it_answers(shop: Shop) -> None:
    """The agreement's workflow stays open until then, and closes after; revoking again changes nothing."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    async with faults(shop.house, http_500=1):
        assert (await command(shop, agreement, "revoke", {"initiator": "customer"}))["status"] == "revoked"
        for minute in (10, 20):
            await shop.advance(clock, f"2027-01-31T00:{minute}:00Z")
            assert await provider_status(shop, agreement) == "pending"
        assert await running(shop, agreement)
        assert (await agreement_row(shop.house, agreement)).revoke_tries > 2
        first = await shop.read(agreement)
        assert (await command(shop, agreement, "revoke"))["revocation"] == first["revocation"]
    await shop.advance(clock, "2027-01-31T06:00:00Z")
    await workflow_closed(shop, agreement)
    assert await provider_status(shop, agreement) == "done"
    assert (await types(shop, agreement)).count("agreement.revoked") == 1
    assert (await command(shop, agreement, "revoke"))["status"] == "revoked"
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await shop.ledger(agreement) == []


async def test_the_payer_revokes_at_the_provider(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    id_ = (await credential(shop, agreement))["id"]
    await shop.house.outside.post(f"{shop.house.sandbox_url}/_sandbox/credentials/{id_}/revoke", json={})
    await shop.until_status(agreement, "revoked")
    await workflow_closed(shop, agreement)
    revocation = (await shop.read(agreement))["revocation"]
    assert (revocation["initiator"], revocation["provider_status"]) == ("customer", "done")
    assert (await agreement_row(shop.house, agreement)).revoke_tries == 0
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await shop.ledger(agreement) == []
    await audited(shop, agreement)


async def test_a_token_that_comes_during_the_revocation_is_ended_too(shop: Shop) -> None:
    """The customer has agreed, the code is being exchanged, and the merchant revokes: no token may be left alive."""
    clock = await shop.clock(START)
    made = await shop.call("POST", "/v1/agreements", agreement_body(clock), expect=201)
    agreement = str(made["id"])
    async with faults(shop.house, http_500=1):
        await shop.decide(made["authorization"]["url"], decision="approve")
        await until(lambda: exchange_failed(shop, agreement))
    at = await unwatched(shop.house, clock, "2027-01-31T00:00:05Z")
    async with by_hand(shop.house) as hand:

        async def revoked() -> None:
            assert (await command(shop, agreement, "revoke"))["revocation"]["provider_status"] == "not_needed"

        hand.gateway.before = revoked
        await hand.authorize(StepInput(agreement_id=agreement, at=at))
    assert await provider_status(shop, agreement) == "pending"
    async with by_hand(shop.house) as hand:
        await hand.revoke(StepInput(agreement_id=agreement, at=at))
    assert (await credential(shop, agreement))["status"] == "revoked"
    assert await provider_status(shop, agreement) == "done"
    assert "agreement.authorized" not in await types(shop, agreement)


async def exchange_failed(shop: Shop, agreement: str) -> bool:
    query = select(Authorization.tries).where(Authorization.agreement_id == agreement)
    query = query.where(Authorization.status == "granted")
    async with shop.house.database.transaction() as session:
        return (await session.exec(query)).first() == 1


async def test_a_prepared_attempt_does_not_outlive_its_agreement(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"expiry_date": "2027-01-31", "total_cycles": 1})
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house, opens=True) as hand:

        async def paused() -> None:
            await command(shop, agreement, "pause")

        hand.between_prepared_and_sent(paused)
        await hand.charge(await charge_step(shop.house, agreement, at))
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await workflow_closed(shop, agreement)
    [attempt] = await attempts(shop.house, agreement)
    assert attempt.status is AttemptStatus.CANCELED
    assert [charge["status"] for charge in await audited(shop, agreement)] == ["failed"]


async def test_news_that_can_no_longer_be_verified_holds_nobody_up(shop: Shop) -> None:
    """The account's keys are replaced between the journal and the workflow: the message is refused, life goes on."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, DUE)
    query = select(Notification).where(Notification.account_id == shop.account, Notification.kind == "payment")
    async with shop.house.database.transaction() as session:
        told = (await session.exec(query)).one()
        account = await session.get_one(GatewayAccount, shop.account)
        told.status = "signalled"
        keys = opened_keys(shop.house.vault, account)
        other = public_text(generate_private_key(public_exponent=65537, key_size=2048))
        account.sealed_keys = sealed_keys(shop.house.vault, keys | {"public_key": other})
    async with by_hand(shop.house) as hand:
        news = NewsInput(agreement_id=agreement, notification_id=told.id, at=datetime.fromisoformat(DUE))
        await ActivityEnvironment().run(ProviderNews(hand.bench).settle_news, news)
    async with shop.house.database.transaction() as session:
        assert (await session.get_one(Notification, told.id)).status == "refused"
