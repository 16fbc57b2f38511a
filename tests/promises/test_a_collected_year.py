"""The main job: thirteen months collected on the right days, in the right amounts, once each."""

from __future__ import annotations

from tests.support.house import Shop

START = "2027-01-31T00:00:00Z"
END = "2028-02-01T00:00:00Z"

DUE = [
    "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30", "2027-07-31",
    "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31",
]  # fmt: skip


async def test_one_debit_per_cycle_on_the_last_days_of_the_months(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, END)
    ledger = await shop.ledger(agreement)
    assert [row["virtual_time"][:16] for row in ledger] == [f"{day}T01:00" for day in DUE]
    assert {(row["kind"], row["status"], row["amount"], row["currency"]) for row in ledger} == {
        ("debit", "succeeded", 49900, "PHP")
    }
    read = await shop.read(agreement)
    assert read["status"] == "completed"
    assert read["totals"] == {
        "cycles_paid": 13,
        "cycles_failed": 0,
        "amount_paid": {"currency": "PHP", "value": 13 * 49900},
    }
