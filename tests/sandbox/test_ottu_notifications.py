"""Webhooks of the Ottu sandbox: delivery, signature, and the forms the sources disagree about (gateways/ottu.md §7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateways.ottu.signing import sign, sign_extended
from tests.sandbox.ottu_support import FAST, HMAC_KEY, PATIENT, Merchant, an_inbox, an_ottu

RESEND = timedelta(seconds=5)


async def log(ottu: Merchant) -> list[tuple[int, bool]]:
    """Attempts and outcome per webhook."""
    return [(row["attempts"], row["acknowledged"]) for row in (await ottu.admin("notifications"))["data"]]


@pytest.mark.parametrize(("status", "delivered"), [(200, True), (201, True), (202, False), (500, False), (404, False)])
async def test_any_answer_ends_the_delivery(ottu: Merchant, status: int, delivered: bool) -> None:
    ottu.inbox.answers = [status]
    await ottu.pay((await ottu.create())["checkout_url"])
    await ottu.advance(timedelta(hours=1))
    assert await log(ottu) == [(1, delivered)]


async def test_a_merchant_that_does_not_answer_is_asked_three_times_in_all(impatient: Merchant) -> None:
    ottu = impatient
    ottu.inbox.answers = [0, 0, 0, 0]
    await ottu.pay((await ottu.create())["checkout_url"])
    state = await ottu.quiet()
    assert state["next_due_at"] == (ottu.now + RESEND).isoformat().replace("+00:00", "Z")
    assert await log(ottu) == [(1, False)]
    await ottu.advance(RESEND)
    await ottu.advance(RESEND)
    await ottu.advance(timedelta(hours=1))
    assert await log(ottu) == [(3, False)]
    assert len({body["reference_number"] for body in ottu.inbox.received}) == 1


async def test_a_late_answer_to_a_repeat_is_enough(tmp_path: Path) -> None:
    """Only the first attempt is to run out of time: Ottu has more of it when it comes back."""
    async with an_inbox() as inbox:
        inbox.answers = [0, 200]
        async with an_ottu(tmp_path, replace(FAST, answer_within=0.3), inbox) as ottu:
            await ottu.pay((await ottu.create())["checkout_url"])
            await ottu.quiet()
        async with an_ottu(tmp_path, PATIENT, inbox) as ottu:
            await ottu.advance(RESEND)
            await ottu.advance(timedelta(hours=1))
            assert await log(ottu) == [(2, True)]


@pytest.mark.parametrize(("instance", "signer"), [({}, sign), ({"signature": "extended"}, sign_extended)])
async def test_a_merchant_gets_the_signature_of_its_instance(
    ottu: Merchant, instance: dict[str, Any], signer: Any
) -> None:
    await ottu.register(instance=instance)
    token = await ottu.agree()
    answered = await ottu.debit(token)
    refunded = await ottu.operate("refund", answered["session_id"])
    await ottu.quiet()
    assert len(ottu.inbox.received) == 2
    for body in (*ottu.inbox.received, answered, refunded):
        assert body["signature"] == signer(body, HMAC_KEY)


async def test_operations_are_told_only_where_the_merchant_wants_it(ottu: Merchant) -> None:
    await ottu.register(operations_webhook_url=None)
    paid = await ottu.debit(await ottu.agree())
    await ottu.operate("refund", paid["session_id"])
    await ottu.quiet()
    assert len(ottu.inbox.received) == 1


async def form(ottu: Merchant, **instance: Any) -> dict[str, Any]:
    """A paid debit in the form of an instance set like this."""
    await ottu.register(instance=instance)
    return await ottu.debit(await ottu.agree())


async def test_pg_params_come_in_three_shapes(ottu: Merchant) -> None:
    flat = (await form(ottu))["pg_params"]
    assert (flat["result"], flat["card_number"]) == ("CAPTURED", "512345xxxxxx0008")
    verbose = (await form(ottu, pg_params="verbose"))["pg_params"]
    assert verbose["result"]["value"] == "CAPTURED"
    assert verbose.keys() == flat.keys()
    assert isinstance((await form(ottu, pg_params="text"))["pg_params"], str)


async def test_amounts_may_be_numbers(ottu: Merchant) -> None:
    body = await form(ottu, amounts="numbers")
    assert (body["paid_amount"], body["settled_amount"], body["amount"]) == (12.5, 12.5, "12.500")


async def test_a_sparse_payment_keeps_what_decides(ottu: Merchant) -> None:
    full, sparse = await form(ottu), await form(ottu, sparse=True)
    assert full.keys() - sparse.keys() == {
        "amount_details",
        "card_acceptance_criteria",
        "fee",
        "gateway_response",
        "initiator",
        "pg_params",
    }


async def test_there_may_be_a_field_nobody_knows(ottu: Merchant) -> None:
    assert len((await form(ottu, unknown_fields=True)).keys() - (await form(ottu)).keys()) == 1


@pytest.mark.parametrize(
    ("dates", "asked", "paid"),
    [
        ("documented", "20/11/2027", "2027-11-20"),
        ("iso", "2027-11-20", "2027-11-20"),
        ("day_first", "20/11/2027", "20/11/2027"),
    ],
)
async def test_dates_come_in_two_spellings(ottu: Merchant, dates: str, asked: str, paid: str) -> None:
    body = await form(ottu, dates=dates)
    assert body["agreement"]["expiry_date"] == paid
    assert (await ottu.retrieve(body["session_id"]))["agreement"]["expiry_date"] == asked


@pytest.mark.parametrize("name", ["pg", "pg_name"])
async def test_a_cards_gateway_goes_by_either_name(ottu: Merchant, name: str) -> None:
    body = await form(ottu, card_gateway_field=name)
    for card in (body["token"], (await ottu.cards())[0]):
        assert card[name] == "mpgs"
        assert {"pg", "pg_name"} & card.keys() == {name}
