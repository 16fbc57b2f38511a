"""Promise 1 over a whole year: answers lost on every debit, and faults of every kind at random."""

from __future__ import annotations

from tests.promises.support import START, audited, faults, types
from tests.support.house import Shop

YEAR_END = "2028-02-01T00:00:00Z"
SCRIPTS = ("insufficient_funds,success", "lost_answer_success", "processing_then_success")


async def test_every_answer_lost_for_thirteen_months(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "lost_answer_success")
    await shop.advance(clock, YEAR_END)
    ledger = await shop.ledger(agreement)
    assert [(row["request_id"], row["status"]) for row in ledger] == [
        (f"{agreement}-c{cycle}-a1", "succeeded") for cycle in range(1, 14)
    ]
    assert {charge["status"] for charge in await audited(shop, agreement)} == {"succeeded"}
    assert (await types(shop, agreement, "charge.")) == ["charge.unknown", "charge.succeeded"] * 13
    assert (await shop.read(agreement))["status"] == "completed"


async def test_random_faults_for_a_year(shop: Shop) -> None:
    """Lost answers, errors, doubled and overtaken notifications, declines in between: one kept success per cycle."""
    clock = await shop.clock(START)
    agreements = [await shop.agree(clock, script, terms={"total_cycles": 12}) for script in SCRIPTS]
    async with faults(shop.house, seed=7, lost_answer=0.05, duplicate=0.02, shuffle=0.05, http_500=0.01):
        await shop.advance(clock, YEAR_END)
    for agreement in agreements:
        charges = await audited(shop, agreement)
        assert [charge["status"] for charge in charges] == ["succeeded"] * 12
        paid = [row["request_id"] for row in await shop.ledger(agreement) if row["status"] == "succeeded"]
        assert len({request_id.rsplit("-", 1)[0] for request_id in paid}) == len(paid) == 12
