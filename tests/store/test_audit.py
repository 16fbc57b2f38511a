"""Each invariant broken by hand in the ledger is found, and nothing else is; what was lived through breaks none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.audit import Audits
from agreements.invariants import Invariant
from store import audit, audit_log, ids, walks
from store.audit_log import Window
from store.tables import AuditFinding, AuditMark
from store.walks import Walk
from telemetry.metrics import REGISTRY
from tests.promises.support import START
from tests.support.house import House, Shop
from workflows import client


@dataclass(frozen=True)
class Lived:
    """An agreement with two cycles paid, one of them given back in part, one to come, and a webhook endpoint."""

    shop: Shop
    agreement: str
    charges: list[str]


@pytest.fixture(scope="module")
async def lived(house: House) -> Lived:
    shop = await house.shop()
    await shop.call("POST", "/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hooks", "event_types": ["*"]})
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    charges = [charge["id"] for charge in await shop.charges(agreement)]
    refund = await shop.call(
        "POST", f"/v1/charges/{charges[0]}/refunds", {"amount": {"currency": "PHP", "value": 100}}, expect=201
    )
    await shop.advance(clock, "2027-03-02T00:00:00Z")
    assert (await shop.call("GET", f"/v1/refunds/{refund['id']}"))["status"] == "succeeded"
    return Lived(shop, agreement, charges)


class _Undone(Exception):
    pass


@asynccontextmanager
async def broken(lived: Lived, statements: str) -> AsyncIterator[AsyncSession]:
    """The ledger with something wrong in it, as nobody else ever sees it."""
    values = {"agreement": lived.agreement, "first": lived.charges[0], "second": lived.charges[1]}
    values["third"] = lived.charges[2]
    try:
        async with lived.shop.house.database.transaction() as session:
            connection = await session.connection()
            for statement in filter(str.strip, statements.split(";")):
                asked = text(statement)
                await connection.execute(asked, {name: values[name] for name in asked.compile().params})
            yield session
            raise _Undone
    except _Undone:
        pass


async def violated(session: AsyncSession, agreement: str) -> set[Invariant]:
    found = await audit.of_agreements(session, [agreement]) + await audit.of_all(session)
    return {each.invariant for each in found if each.agreement_id == agreement}


_ANOTHER_ATTEMPT = """
    insert into attempts (id, agreement_id, charge_id, number, gateway_request_id, status, currency, amount,
      looks, times_not_found, prepared_at, sent_at)
    select 'att_by_hand', agreement_id, id, 9, 'by-hand', '{status}', currency, amount, 0, 0, due_at, due_at
    from charges where id = :{charge}
"""
# Nobody answers at the endpoint's address, so they are tried for as long as the tests last: what is locked first is not
# tried once more between the deletes.
_WITHOUT_DELIVERIES = """
    select deliveries.id from deliveries join events on events.id = event_id
      where agreement_id = :agreement and sequence = 2 for update of deliveries;
    delete from delivery_attempts where delivery_id in (select deliveries.id from deliveries
      join events on events.id = event_id where agreement_id = :agreement and sequence = 2);
    delete from deliveries where event_id in (select id from events where agreement_id = :agreement and sequence = 2);
"""
_BREAKS = [
    (
        Invariant.ONE_SUCCESS_PER_CHARGE,
        "drop index attempts_one_success;" + _ANOTHER_ATTEMPT.format(status="succeeded", charge="second"),
    ),
    (Invariant.PAID_AS_ATTEMPTED, "update attempts set status = 'failed' where charge_id = :second"),
    (Invariant.PAID_AS_ATTEMPTED, "update charges set paid_at = null, status = 'retrying' where id = :second"),
    (Invariant.STATUS_AS_REFUNDED, "update charges set status = 'refunded' where id = :second"),
    (Invariant.STATUS_AS_REFUNDED, "update charges set status = 'succeeded' where id = :first"),
    (
        Invariant.REFUNDS_WITHIN_CAPTURED,
        """insert into refunds (id, agreement_id, charge_id, attempt_id, kind, request_id, status, currency, amount,
             tries, created_at)
           select 'rfd_by_hand', agreement_id, charge_id, id, 'refund', 'by-hand', 'pending', currency, amount - 99, 0,
             prepared_at from attempts where charge_id = :first""",
    ),
    (
        Invariant.EVENTS_WITHOUT_GAPS,
        _WITHOUT_DELIVERIES + "delete from events where agreement_id = :agreement and sequence = 2",  # noqa: S608
    ),
    (Invariant.EVENTS_WITHOUT_GAPS, "update agreements set sequence = sequence + 1 where id = :agreement"),
    (
        Invariant.EVENTS_HAVE_DELIVERIES,
        """update webhook_endpoints set created_at = created_at - interval '1 minute'
             where merchant_id = (select merchant_id from agreements where id = :agreement);"""  # noqa: S608
        + _WITHOUT_DELIVERIES,
    ),
    (Invariant.OPEN_ATTEMPTS_ARE_ASKED_ABOUT, _ANOTHER_ATTEMPT.format(status="sent", charge="third")),
    (
        Invariant.STEPS_ARE_TAKEN,
        """update agreements set test_clock_id = null, next_step_at = now() - interval '61 minutes'
           where id = :agreement""",
    ),
    (
        Invariant.NO_DEBIT_AFTER_STOP,
        "update agreements set stop = 'paused', stopped_at = '2027-01-31 00:00Z' where id = :agreement",
    ),
    (
        Invariant.NO_DEBIT_AFTER_STOP,
        "update agreements set ended = 'expired', ended_at = '2027-01-31 00:00Z' where id = :agreement",
    ),
    (
        Invariant.WITHIN_CAP,
        """update agreements set terms = terms || '{"max_amount_per_cycle"\\: 49899}' where id = :agreement""",
    ),
    (
        Invariant.MINIMUM_GAP,
        """update agreements set terms = terms || '{"cycle_interval_days"\\: 29}' where id = :agreement""",
    ),
]


async def test_a_life_breaks_no_invariant(lived: Lived) -> None:
    async with broken(lived, "select 1") as session:
        assert await violated(session, lived.agreement) == set()


@pytest.mark.parametrize(("invariant", "statements"), _BREAKS)
async def test_what_is_broken_is_found_and_nothing_else(lived: Lived, invariant: Invariant, statements: str) -> None:
    async with broken(lived, statements) as session:
        assert await violated(session, lived.agreement) == {invariant}


def test_every_invariant_is_broken_once() -> None:
    """But for the one that is asked of Temporal, which has a test of its own."""
    assert {invariant for invariant, _ in _BREAKS} == set(Invariant) - {Invariant.WORKFLOW_RUNS}


async def test_wishes_that_have_changed_since_accuse_nobody(lived: Lived) -> None:
    """Who added an event's type today wanted nothing of yesterday's."""
    lost = dict(_BREAKS)[Invariant.EVENTS_HAVE_DELIVERIES]
    patched = """;insert into audit_trail (id, at, merchant_id, livemode, actor, call, object_id)
        select 'trl_' || id, now() + interval '1 second', merchant_id, livemode, 'api',
          'PATCH /v1/webhook-endpoints/{id}', id from webhook_endpoints"""
    async with broken(lived, lost + patched) as session:
        assert await violated(session, lived.agreement) == set()


async def test_a_cap_that_was_lowered_accuses_no_debit_the_customer_had_consented_to(house: House) -> None:
    shop = await house.shop()
    clock = await shop.clock(START)
    terms = {"amount_variability": "variable", "max_amount_per_cycle": 50_000}
    agreement = await shop.agree(clock, terms=terms)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    lower = {"amount": {"currency": "PHP", "value": 30_000}, "max_amount_per_cycle": 30_000}
    await shop.call("PATCH", f"/v1/agreements/{agreement}", {"terms": lower}, expect=200)
    lived = Lived(shop, agreement, [charge["id"] for charge in await shop.charges(agreement)] + [""])
    async with broken(lived, "select 1") as session:
        assert await violated(session, agreement) == set()
    async with broken(lived, "update attempts set amount = 50001 where charge_id = :first") as session:
        assert Invariant.WITHIN_CAP in await violated(session, agreement)


async def audited(lived: Lived, running: Callable[[str], Awaitable[bool]], *, walks_are_past_it: bool = False) -> None:
    """An audit whose walks come to the agreement, however many others this house has, or have just been there."""
    async with lived.shop.house.database.transaction() as session:
        for walk in Walk:
            reached = lived.agreement if walks_are_past_it else lived.agreement[:-1]
            await session.merge(AuditMark(name=walk, reached=reached))
    await ActivityEnvironment().run(Audits(lived.shop.house.database, running).audit)


async def everybody(_: str) -> bool:
    return True


async def findings(lived: Lived) -> list[AuditFinding]:
    query = select(AuditFinding).where(AuditFinding.agreement_id == lived.agreement)
    async with lived.shop.house.database.transaction() as session:
        return [row for row in await session.exec(query) if row.resolved_at is None]


async def committed(lived: Lived, statement: str) -> None:
    async with lived.shop.house.database.transaction() as session:
        await (await session.connection()).execute(text(statement), {"second": lived.charges[1]})


def counted(invariant: Invariant) -> float:
    return REGISTRY.get_sample_value("autodebit_invariant_violations_total", {"invariant": invariant.value}) or 0.0


async def test_a_violation_is_counted_and_kept_once_until_it_is_over(lived: Lived) -> None:
    before = counted(Invariant.STATUS_AS_REFUNDED)
    await committed(lived, "update charges set status = 'refunded' where id = :second")
    try:
        for _ in range(2):
            await audited(lived, everybody)
            [found] = await findings(lived)
        assert (found.invariant, found.subject) == (Invariant.STATUS_AS_REFUNDED, lived.charges[1])
        assert found.detail == "refunded, with 0 of 49900 given back"
        assert counted(Invariant.STATUS_AS_REFUNDED) == before + 1
    finally:
        await committed(lived, "update charges set status = 'succeeded' where id = :second")
    await audited(lived, everybody, walks_are_past_it=True)
    assert await findings(lived) == []


async def test_an_agreement_without_its_workflow_is_found(lived: Lived) -> None:
    house = lived.shop.house
    assert await client.is_running(house.temporal, lived.agreement)
    assert not await client.is_running(house.temporal, "agr_never_started")

    async def all_but_one(agreement: str) -> bool:
        return agreement != lived.agreement

    async with house.database.transaction() as session:
        older = text("update agreements set written_at = now() - interval '6 minutes' where id = :id")
        await (await session.connection()).execute(older, {"id": lived.agreement})
    await audited(lived, all_but_one)
    [found] = await findings(lived)
    assert found.invariant is Invariant.WORKFLOW_RUNS
    await audited(lived, everybody, walks_are_past_it=True)
    assert await findings(lived) == []


async def test_what_changed_is_read_from_the_time_in_the_ids(lived: Lived) -> None:
    now = datetime.now(UTC)
    async with lived.shop.house.database.transaction() as session:
        assert lived.agreement in await audit_log.changed(session, Window(now - timedelta(hours=1), now))
        assert await audit_log.changed(session, Window(now + timedelta(hours=1), now + timedelta(hours=2))) == []
        await audit_log.walked(session, Window(now, now))
        assert await audit_log.window(session, now + timedelta(minutes=5)) == Window(now, now + timedelta(minutes=4))


async def test_the_walk_through_all_agreements_begins_again_at_its_end(lived: Lived) -> None:
    async with broken(lived, "delete from audit_marks") as session:
        every = await walks.after(session, "", 10_000)
        for walk in Walk:
            walked = [await walks.next_slice(session, walk, 1) for _ in every]
            assert [agreement for part in walked for agreement in part] == every
            assert await walks.next_slice(session, walk, 1) == []
            assert await walks.next_slice(session, walk, 1) == every[:1]
            assert (await session.get_one(AuditMark, walk)).reached == every[0]


def test_ids_bound_the_time_they_were_made_in() -> None:
    before, made, after = datetime.now(UTC), ids.new("evt"), datetime.now(UTC) + timedelta(milliseconds=1)
    assert ids.first_at("evt", before) <= made < ids.first_at("evt", after)
