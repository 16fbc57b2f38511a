"""The whole life of an agreement, the same at every gateway: through the API, the customer's pages and the sandbox's
ledger only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.promises.support import START, audited, types, until
from tests.support.house import House, Shop
from tests.support.shops import CARDS

DUE = [
    "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30",
    "2027-07-31", "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31",
]  # fmt: skip
SOFT, LOST, DEAD = 3, 5, 7
"""Cycles: declined once for lack of funds, collected though the answer got lost, declined since the card is dead."""
FINALLY = {"antom": "done", "ottu": "failed", "pivot": "done"}
"""What became of the revocation at the provider: only Ottu's support can unlock the card of an agreement."""
NUMBERS = {"ottu": (CARDS["ottu"][0], "4012000033330026"), "pivot": CARDS["pivot"]}
"""The first card and the second, where customers pay with cards; the second one's bank asks by 3-D Secure."""
NEW_CARD_ON = "2027-08-02"
LONG_AFTER = "2028-06-30T00:00:00Z"


def script(shop: Shop) -> str:
    """What the debits on the first card do. Where the customer pays the first cycle, it follows no script."""
    words = {SOFT: "insufficient_funds,success", LOST: "lost_answer_success", DEAD: "expired_card"}
    first = 1 if shop.gateway == "antom" else 2
    return ",".join(words.get(cycle, "success") for cycle in range(first, DEAD + 1))


def paid_with(shop: Shop, card: int) -> dict[str, str]:
    """The form's part about the card, where customers pay with cards."""
    return {"card": NUMBERS[shop.gateway][card]} if shop.gateway in NUMBERS else {}


async def approved(shop: Shop, clock: str) -> str:
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), expect=201)
    back = await shop.decide(
        made["authorization"]["url"], decision="approve", script=script(shop), **paid_with(shop, 0)
    )
    assert back.headers["location"] == f"https://merchant.example/return?agreement={made['id']}"
    return await shop.until_status(made["id"], "active")


async def another_card(shop: Shop, agreement: str) -> None:
    """The merchant asks for it, the customer gives it."""
    link = await shop.call("POST", f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"}, 201)
    page = await shop.house.outside.post(link["url"])
    assert page.status_code == 303, page.text
    await shop.decide(page.headers["location"], decision="approve", **paid_with(shop, 1))
    await shop.until_status(agreement, "active")


async def partly_refunded(shop: Shop, clock: str, charge: dict[str, Any]) -> None:
    """A fifth of a charge goes back; how long the provider takes for it is its own affair."""
    money = charge["amount"] | {"value": charge["amount"]["value"] // 5}
    made = await shop.call("POST", f"/v1/charges/{charge['id']}/refunds", {"amount": money}, expect=201)
    await shop.advance(clock, "2027-09-30T00:00:00Z")
    assert (await shop.call("GET", f"/v1/refunds/{made['id']}"))["status"] == "succeeded"
    assert (await shop.call("GET", f"/v1/charges/{charge['id']}"))["status"] == "partially_refunded"


async def revoked(shop: Shop, clock: str, agreement: str) -> None:
    """No further debit, and the provider's last word about it."""
    before = await shop.ledger(agreement)
    await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {"initiator": "customer", "reason": "moved away"})

    async def told() -> bool:
        return bool((await shop.read(agreement))["revocation"]["provider_status"] != "pending")

    await until(told)
    await shop.advance(clock, LONG_AFTER)
    assert await shop.ledger(agreement) == before
    read = await shop.read(agreement)
    assert (read["status"], read["next_charge_at"]) == ("revoked", None)
    assert read["revocation"]["provider_status"] == FINALLY[shop.gateway]


@pytest.mark.parametrize("gateway", ["antom", "ottu", "pivot"])
async def test_the_life_of_an_agreement(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(START)
    agreement = await approved(shop, clock)
    await shop.advance(clock, f"{NEW_CARD_ON}T00:00:00Z")
    first = (await shop.read(agreement))["credential"]
    assert [charge["status"] for charge in (await shop.charges(agreement))[:7]] == [
        *["succeeded"] * 6,
        "action_required",
    ]

    await another_card(shop, agreement)
    second = (await shop.read(agreement))["credential"]
    assert second["id"] != first["id"]
    if gateway in NUMBERS:
        assert [each["last4"] for each in (first, second)] == [number[-4:] for number in NUMBERS[gateway]]
    await partly_refunded(shop, clock, (await shop.charges(agreement))[1])
    await shop.advance(clock, f"{DUE[-1]}T12:00:00Z")
    await revoked(shop, clock, agreement)

    charges, ledger = await audited(shop, agreement), await shop.ledger(agreement)
    assert [charge["cycle"] for charge in charges if charge["paid_at"]] == [*range(1, 13)]
    taken = [row for row in ledger if (row["kind"], row["status"]) == ("debit", "succeeded")]
    assert [row["virtual_time"][:10] for row in taken] == [
        {SOFT: "2027-04-01", DEAD: NEW_CARD_ON}.get(cycle, day) for cycle, day in enumerate(DUE, 1)
    ]
    assert sorted(row["merchant_reference"] for row in taken) == sorted(f"{agreement}-c{n}" for n in range(1, 13))
    totals = (await shop.read(agreement))["totals"]
    assert totals["cycles_paid"] == 12
    assert totals["amount_paid"]["value"] == sum(row["amount"] for row in taken)
    old, new = {row["credential"] for row in taken[:6]}, {row["credential"] for row in taken[6:]}
    assert (len(old), len(new), old & new) == (1, 1, set()), "the old card is not debited any more"
    assert {"charge.unknown", "charge.retry_scheduled", "card_change.completed"} <= set(await types(shop, agreement))
