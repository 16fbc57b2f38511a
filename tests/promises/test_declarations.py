"""Payments declared at customs: never more than was captured, to a final answer, and nothing left of the buyer."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.sweep import Sweeps
from store import declarations
from store.changes import change
from store.declarations import Wanted
from store.tables import Declaration
from tests.promises.leaks import captured_logs, histories, leaked, rows
from tests.promises.support import START, audited, charge_row, faults, types, until
from tests.support.house import Shop
from worker import reach
from workflows.messages import declaration_workflow_id

PAID_AT = "2027-01-31T02:00:00Z"
LATER = "2027-01-31T03:00:00Z"
ALIPAY: dict[str, Any] = {
    "payment_method": {"type": "ALIPAY_CN"},
    "terms": {"amount": {"currency": "CNY", "value": 49900}, "timezone": "Asia/Manila"},
}
BUYER = {"certificate_number": "310000199001010000", "name": "Zhang Xiaosan"}


async def paid(shop: Shop, **changes: Any) -> tuple[str, str, str]:
    """An agreement whose first cycle is paid; its clock and the charge."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, **(ALIPAY | changes))
    await shop.advance(clock, PAID_AT)
    return agreement, clock, (await charge_row(shop.house, agreement)).id


def wanted(value: int | None = None, **more: Any) -> dict[str, Any]:
    body = {
        "customs_code": "ZONGSHU",
        "merchant_customs_code": "1234567890",
        "merchant_customs_name": "Example Trade Ltd",
        **more,
    }
    return body if value is None else {"amount": {"currency": "CNY", "value": value}, "sub_order_id": "so_1", **body}


async def declared(shop: Shop, charge: str, body: dict[str, Any], expect: int = 201) -> dict[str, Any]:
    return await shop.call("POST", f"/v1/charges/{charge}/declarations", body, expect=expect)


async def listed(shop: Shop, charge: str) -> list[dict[str, Any]]:
    return list((await shop.call("GET", f"/v1/charges/{charge}/declarations"))["data"])


async def scripted(shop: Shop, words: str) -> None:
    await shop.sandbox(f"clients/{shop.client_id}/declarations/script", {"script": words})


async def row(shop: Shop, id_: str) -> Declaration:
    async with shop.house.database.transaction() as session:
        return await session.get_one(Declaration, id_)


async def tried(shop: Shop, id_: str) -> None:
    """Waits until the first call was answered, or its answer was given up."""

    async def done() -> bool:
        found = await row(shop, id_)
        return found.evidence is not None

    await until(done)


async def test_a_payment_is_declared_and_customs_answer(shop: Shop) -> None:
    agreement, clock, charge = await paid(shop)
    before = await shop.ledger(agreement)
    made = await declared(shop, charge, wanted())
    assert (made["status"], made["amount"]) == ("pending", {"currency": "CNY", "value": 49900})
    await shop.advance(clock, LATER)
    [done] = await listed(shop, charge)
    assert (done["id"], done["status"], done["decline"]) == (made["id"], "succeeded", None)
    assert done["facts"]["provider_status"] == "SUCCESS"
    assert done["facts"]["registration_id"] == "31222699S7"
    assert done["finished_at"] is not None
    assert await types(shop, agreement, "declaration.") == ["declaration.succeeded"]
    handle = shop.house.temporal.get_workflow_handle(declaration_workflow_id(made["id"]))
    assert await handle.result() == "succeeded"
    assert (
        await (await handle.describe()).static_summary()
        == f"declare CNY 499.00 of charge {charge} (cycle 1) at customs"
    )
    assert await shop.ledger(agreement) == before
    await audited(shop, agreement)


async def test_only_what_was_paid_with_alipay_is_declared_and_never_more_than_that(shop: Shop) -> None:
    agreement, clock, charge = await paid(shop)
    other = await shop.agree(clock, **(ALIPAY | {"terms": ALIPAY["terms"] | {"start_date": "2027-03-31"}}))
    wallet = await paid(shop, payment_method={"type": "GCASH"}, terms={"amount": {"currency": "PHP", "value": 49900}})
    problem = await declared(shop, wallet[2], wanted(), expect=409)
    assert problem["detail"] == "payments with GCash cannot be declared at customs"
    assert (await declared(shop, charge, wanted(49901), expect=422))["errors"][0]["pointer"] == "/amount/value"
    part = wanted(20000)
    del part["sub_order_id"]
    assert (await declared(shop, charge, part, expect=422))["errors"][0]["pointer"] == "/sub_order_id"
    in_dollars = wanted(20000) | {"amount": {"currency": "USD", "value": 1}}
    assert (await declared(shop, charge, in_dollars, expect=422))["errors"][0]["pointer"] == "/amount/currency"
    await declared(shop, "chg_nobody", wanted(), expect=404)

    headers = {"Authorization": f"Bearer {shop.secret_key}"}

    async def ask(number: int) -> int:
        url = f"{shop.house.settings.public_url}/v1/charges/{charge}/declarations"
        key = {"Idempotency-Key": f"part-{number // 2}"}  # every call twice
        return (await shop.house.outside.post(url, json=wanted(12475), headers=headers | key)).status_code

    answers = await asyncio.gather(*map(ask, range(20)))
    assert answers.count(201) == 8
    assert len(await listed(shop, charge)) == 4
    assert sum(made["amount"]["value"] for made in await listed(shop, charge)) == 49900
    assert (await declared(shop, charge, wanted(), expect=409))["detail"] == "all of it is declared already"
    await shop.advance(clock, LATER)
    assert {made["status"] for made in await listed(shop, charge)} == {"succeeded"}
    assert other != agreement


async def test_a_charge_that_is_not_paid_is_not_declared(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, script="insufficient_funds", **ALIPAY)
    await shop.advance(clock, PAID_AT)
    charge = (await charge_row(shop.house, agreement)).id
    assert (await declared(shop, charge, wanted(), expect=409))["detail"] == (
        "a charge that is retrying cannot be declared at customs"
    )


async def test_lost_answers_are_repeated_and_refusals_told(shop: Shop) -> None:
    agreement, clock, charge = await paid(shop)
    await scripted(shop, "http_500,lost_answer_success,MERCHANT_NOT_REGISTERED,processing_then_failure,success")
    first = await declared(shop, charge, wanted(10000))
    await shop.advance(clock, LATER)
    assert (await row(shop, first["id"])).tries > 2
    refused = await declared(shop, charge, wanted(39900))
    await shop.advance(clock, "2027-01-31T03:30:00Z")
    by_customs = await declared(shop, charge, wanted(39900))
    await shop.advance(clock, "2027-01-31T04:00:00Z")
    again = await declared(shop, charge, wanted(39900))
    await shop.advance(clock, "2027-01-31T05:00:00Z")
    ends = {
        made["id"]: (made["status"], (made["decline"] or {}).get("raw_code")) for made in await listed(shop, charge)
    }
    assert ends == {
        first["id"]: ("succeeded", None),
        refused["id"]: ("failed", "MERCHANT_NOT_REGISTERED"),
        by_customs["id"]: ("failed", "REFUSED_BY_CUSTOMS"),
        again["id"]: ("succeeded", None),
    }
    told = await types(shop, agreement, "declaration.")
    assert told == ["declaration.succeeded", "declaration.failed", "declaration.failed", "declaration.succeeded"]


async def test_nothing_of_the_buyer_can_be_read_anywhere_and_in_the_end_nothing_is_kept(shop: Shop) -> None:
    house = shop.house
    with captured_logs() as written:
        agreement, clock, charge = await paid(shop)
        async with faults(house, http_500=1):
            made = await declared(shop, charge, wanted(buyer=BUYER))
            await tried(shop, made["id"])
            pending = await row(shop, made["id"])
            assert json.loads(house.vault.open("customs_buyer", pending.sealed_buyer or "")) == BUYER
            places = await rows(house.database) | await histories(house.temporal)
            assert {place for place, raw in places.items() if leaked(raw, BUYER.values())} == set()
        await shop.advance(clock, LATER)
    [done] = await listed(shop, charge)
    assert (done["status"], done["facts"]["identity_check"]) == ("succeeded", "CHECK_PASSED")
    assert (await row(shop, made["id"])).sealed_buyer is None
    places = await rows(house.database) | await histories(house.temporal) | {"logs": written.getvalue().encode()}
    places["API"] = json.dumps([done, await shop.events(agreement)]).encode()
    assert {place for place, raw in places.items() if leaked(raw, BUYER.values())} == set()


async def test_a_declaration_whose_process_died_is_started_by_the_sweep(shop: Shop) -> None:
    agreement, clock, charge = await paid(shop)
    asked = Wanted(None, "ZONGSHU", "1234567890", "Example Trade Ltd", None, None)
    async with change(shop.house.database, agreement) as locked:
        left = (await declarations.ask(locked, charge, asked)).id
    sweeps = Sweeps(shop.house.database, reach(shop.house.temporal), timedelta(0))
    for _ in range(2):
        await ActivityEnvironment().run(sweeps.sweep)
    assert (await row(shop, left)).started
    await shop.advance(clock, LATER)
    assert [made["status"] for made in await listed(shop, charge)] == ["succeeded"]
