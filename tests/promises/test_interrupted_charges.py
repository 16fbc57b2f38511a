"""Promises 1 and 9: a charge that dies anywhere on its way is one debit in the end.

The activity runs as in the worker, against the real database and sandbox; the workflow stands still meanwhile.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.contract import StepInput
from agreements.attempts import Verdict
from agreements.status import AttemptStatus, ChargeStatus
from store.tables import Charge
from tests.promises.support import (
    START,
    Killed,
    agreement_row,
    attempts,
    audited,
    by_hand,
    charge_row,
    charge_step,
    killed,
    until,
    unwatched,
)
from tests.support.house import Shop

DUE = "2027-01-31T01:00:00Z"


async def due(shop: Shop, words: str = "success", **changes: Any) -> tuple[str, str, StepInput]:
    """An agreement whose first cycle is due and untouched; its clock, and the step that collects it."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, words, **changes)
    at = await unwatched(shop.house, clock, DUE)
    return agreement, clock, await charge_step(shop.house, agreement, at)


async def later(shop: Shop, clock: str, step: StepInput, **passed: float) -> StepInput:
    """The inquiry about the step's attempt, after some time."""
    at = await unwatched(shop.house, clock, str(step.at + timedelta(**passed)))
    [attempt] = [row for row in await attempts(shop.house, step.agreement_id) if row.number == step.attempt]
    return StepInput(agreement_id=step.agreement_id, at=at, subject=attempt.id, attempt=attempt.number)


async def debits(shop: Shop, agreement: str) -> list[tuple[str, str]]:
    return [(row["request_id"], row["status"]) for row in await shop.ledger(agreement)]


async def paid(shop: Shop, agreement: str) -> bool:
    return (await charge_row(shop.house, agreement)).status is ChargeStatus.SUCCEEDED


async def test_killed_between_prepared_and_sent(shop: Shop) -> None:
    """Nothing was sent; the repeat sends without asking, also where the attempt needs no opening any more."""
    agreement, _, step = await due(shop)
    async with by_hand(shop.house, opens=True) as hand:
        hand.after_commits.append(killed)
        with pytest.raises(Killed):
            await hand.charge(step)
        [attempt] = await attempts(shop.house, agreement)
        assert attempt.status is AttemptStatus.PREPARED
        assert await shop.ledger(agreement) == []
    async with by_hand(shop.house) as hand:
        await hand.charge(step)
        assert hand.gateway.calls == ["charge"]
    assert await debits(shop, agreement) == [(f"{agreement}-c1-a1", "succeeded")]
    await audited(shop, agreement)


async def test_killed_right_after_the_commit_that_sends(shop: Shop) -> None:
    """The first commit says sent already: nobody can tell this death from one in the call, so the repeat asks first."""
    agreement, _, step = await due(shop)
    async with by_hand(shop.house) as hand:
        hand.after_commits.append(killed)
        with pytest.raises(Killed):
            await hand.charge(step)
        [attempt] = await attempts(shop.house, agreement)
        assert (attempt.status, attempt.sent_at) == (AttemptStatus.SENT, step.at)
        assert (hand.gateway.calls, await shop.ledger(agreement)) == ([], [])
        await hand.charge(step)
        assert hand.gateway.calls == ["inquire", "charge"]
    assert await debits(shop, agreement) == [(f"{agreement}-c1-a1", "succeeded")]
    await audited(shop, agreement)


async def test_what_is_debited_is_committed_as_sent(shop: Shop) -> None:
    """As somebody else sees it while the call is under way, with the cycle after it written: one change of the
    agreement before the call, and one after it.
    """
    agreement, _, step = await due(shop)
    before = (await agreement_row(shop.house, agreement)).version
    async with by_hand(shop.house) as hand:
        seen: list[tuple[AttemptStatus, ChargeStatus]] = []

        async def looked() -> None:
            [attempt] = await attempts(shop.house, agreement)
            seen.append((attempt.status, (await charge_row(shop.house, agreement, cycle=2)).status))

        hand.gateway.before = looked
        await hand.charge(step)
    assert seen == [(AttemptStatus.SENT, ChargeStatus.SCHEDULED)]
    assert (await agreement_row(shop.house, agreement)).version == before + 2
    await audited(shop, agreement)


async def test_killed_between_sent_and_the_call(shop: Shop) -> None:
    """Sent may mean anything: the repeat asks first, learns that nothing arrived, and sends the same request."""
    agreement, _, step = await due(shop)
    async with by_hand(shop.house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        assert (await attempts(shop.house, agreement))[0].status is AttemptStatus.SENT
        hand.gateway.before = None
        await hand.charge(step)
        assert hand.gateway.calls == ["charge", "inquire", "charge"]
    assert await debits(shop, agreement) == [(f"{agreement}-c1-a1", "succeeded")]
    await audited(shop, agreement)


@pytest.mark.parametrize("words", ["success", "insufficient_funds", "processing_then_success"])
async def test_killed_between_the_call_and_its_record(shop: Shop, words: str) -> None:
    """The debit happened, or was declined, and nobody wrote it down: the repeat only asks."""
    agreement, clock, step = await due(shop, f"{words},success")
    async with by_hand(shop.house) as hand:
        hand.gateway.after = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        hand.gateway.after = None
        await hand.charge(step)
        assert hand.gateway.calls == ["charge", "inquire"]
        if words == "processing_then_success":
            await shop.advance(clock, "2027-01-31T01:01:00Z")
    assert len(await debits(shop, agreement)) == 1
    await audited(shop, agreement)


async def test_killed_again_and_again(shop: Shop) -> None:
    """Whatever the number of deaths, after the call or before it, one debit."""
    agreement, _, step = await due(shop)
    async with by_hand(shop.house) as hand:
        for before, after in ((killed, None), (killed, None), (None, killed), (None, killed)):
            hand.gateway.before, hand.gateway.after = before, after
            try:
                await hand.charge(step)
            except Killed:
                continue
        hand.gateway.before = hand.gateway.after = None
        await hand.charge(step)
    assert await debits(shop, agreement) == [(f"{agreement}-c1-a1", "succeeded")]
    assert (await charge_row(shop.house, agreement)).status is ChargeStatus.SUCCEEDED
    await audited(shop, agreement)


async def test_a_second_worker_that_took_the_first_for_dead(shop: Shop) -> None:
    """Two workers in the same charge at once: one request id, one debit, one success."""
    agreement, _, step = await due(shop)
    async with by_hand(shop.house) as first, by_hand(shop.house) as second:

        async def overtaken() -> None:
            await second.charge(step)

        first.gateway.before = overtaken
        await first.charge(step)
        assert second.gateway.calls == ["inquire", "charge"]
    assert await debits(shop, agreement) == [(f"{agreement}-c1-a1", "succeeded")]
    await audited(shop, agreement)


async def test_a_request_never_received_is_not_a_failure_before_its_time(shop: Shop) -> None:
    """While paused nothing is sent again; "not found" ends the attempt at the second look after the settling time, and
    even then a success that turns up is not ignored (payment-rules §4 points 5 and 7)."""
    agreement, clock, step = await due(shop)
    async with by_hand(shop.house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        hand.gateway.before = None
        await shop.call("POST", f"/v1/agreements/{agreement}/pause")
        for seconds, status in ((5, "unknown"), (30, "unknown"), (70, "failed")):
            await hand.inquire(await later(shop, clock, step, seconds=seconds))
            [charge] = [row for row in await shop.charges(agreement) if row["cycle"] == 1]
            assert charge["attempts"][0]["status"] == status
    assert charge["status"] == "retrying"
    assert await shop.ledger(agreement) == []
    await audited(shop, agreement)


async def test_nothing_is_sent_again_after_the_agreement_has_ended(shop: Shop) -> None:
    """A request that never arrived, and an agreement that expired meanwhile: the attempt ends, on its schedule."""
    terms = {"start_date": "2027-01-31", "expiry_date": "2027-01-31", "total_cycles": 1, "debit_time": "23:59"}
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=terms)
    at = await unwatched(shop.house, clock, "2027-01-31T15:59:00Z")
    step = await charge_step(shop.house, agreement, at)
    async with by_hand(shop.house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        hand.gateway.before = None
        for seconds in (61, 121):
            inquiry = await later(shop, clock, step, seconds=seconds)
            standing = await hand.inquire(inquiry)
            assert all(found.at > inquiry.at for found in standing.unfinished)
    assert await shop.ledger(agreement) == []
    [attempt] = await attempts(shop.house, agreement)
    assert attempt.status is AttemptStatus.FAILED
    await audited(shop, agreement)


async def test_a_cycle_paid_meanwhile_is_not_asked_for_again(shop: Shop) -> None:
    """Attempt 1 hangs in the network until it is given up; attempt 2 dies before its call; then attempt 1 arrives."""
    agreement, clock, step = await due(shop)
    async with by_hand(shop.house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        hand.gateway.before = None
        await shop.call("POST", f"/v1/agreements/{agreement}/pause")
        for seconds in (5, 70):
            await hand.inquire(await later(shop, clock, step, seconds=seconds))
        await shop.call("POST", f"/v1/agreements/{agreement}/resume", {"missed_cycles": "collect"})
        at = await unwatched(shop.house, clock, "2027-01-31T02:00:00Z")
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(await charge_step(shop.house, agreement, at, attempt=2))
        assert (await hand.arrives_late()).verdict is Verdict.SUCCEEDED
    await until(lambda: paid(shop, agreement))
    await shop.advance(clock, "2027-01-31T06:00:00Z")
    assert await debits(shop, agreement) == [(f"{agreement}-c1-a1", "succeeded")]
    charge = (await audited(shop, agreement))[0]
    assert charge["status"] == "succeeded"
    assert [attempt["status"] for attempt in charge["attempts"]] == ["succeeded", "failed"]


async def test_no_attempt_starts_while_one_is_unknown(shop: Shop) -> None:
    """Not even when somebody puts the charge on the agenda again."""
    agreement, _, step = await due(shop)
    async with by_hand(shop.house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        async with shop.house.database.transaction() as session:
            charge = await session.get_one(Charge, step.subject)
            charge.status, charge.next_attempt_at = ChargeStatus.RETRYING, step.at
        hand.gateway.before = None
        standing = await hand.charge(step.model_copy(update={"attempt": 2}))
        assert hand.gateway.calls == ["charge"]
    assert all(due.charge_id != step.subject for due in standing.charges)
    assert [attempt.number for attempt in await attempts(shop.house, agreement)] == [1]


async def test_an_attempt_in_process_is_canceled_once_another_has_paid(shop: Shop) -> None:
    """Attempt 1 hangs in the network and is given up; attempt 2 is in process; then attempt 1 arrives and pays."""
    agreement, clock, step = await due(shop, "processing_then_success,success")
    async with by_hand(shop.house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        hand.gateway.before = None
        await shop.call("POST", f"/v1/agreements/{agreement}/pause")
        await shop.advance(clock, "2027-01-31T01:03:00Z")
        await shop.call("POST", f"/v1/agreements/{agreement}/resume")
        at = await unwatched(shop.house, clock, "2027-01-31T02:00:00Z")
        await hand.charge(await charge_step(shop.house, agreement, at, attempt=2))
        await hand.arrives_late()
        await until(lambda: paid(shop, agreement))
    await shop.advance(clock, "2027-01-31T02:00:10Z")
    assert [(row["kind"], row["status"]) for row in await shop.ledger(agreement)] == [
        ("debit", "failed"),
        ("debit", "succeeded"),
        ("cancel", "succeeded"),
    ]
    charge = (await audited(shop, agreement))[0]
    assert [attempt["status"] for attempt in charge["attempts"]] == ["succeeded", "canceled"]
    assert charge["status"] == "succeeded"
