"""Promise 4 for whoever revokes, wherever: what is in flight comes to its end, nothing follows, the provider knows.

The merchant's own call is tested with the gate; here the other ways, each with a debit that is being processed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.promises.support import START, agreement_row, audited, credential, workflow_closed
from tests.support.house import Shop
from workflows.messages import agreement_workflow_id

DUE = "2027-01-31T01:00:00Z"


async def on_their_page(shop: Shop, agreement: str) -> None:
    """The customer cancels at our portal."""
    page = (await shop.call("POST", f"/v1/agreements/{agreement}/portal-links", {}))["url"]
    assert (await shop.house.outside.post(f"{page}/cancel")).status_code == 303
    assert (await shop.read(agreement))["status"] == "revoked"


async def at_the_wallet(shop: Shop, agreement: str) -> None:
    """The customer withdraws in the wallet's app, which tells us."""
    held = await credential(shop, agreement)
    await shop.sandbox(f"credentials/{held['id']}/revoke", {})
    await shop.until_status(agreement, "revoked")


async def by_signal(shop: Shop, agreement: str) -> None:
    """An operator, for the merchant."""
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    await handle.signal("revoke")
    await shop.until_status(agreement, "revoked")


@pytest.mark.parametrize(
    ("revoke", "initiator", "told"),
    [(on_their_page, "customer", True), (at_the_wallet, "customer", False), (by_signal, "merchant", True)],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_revocation_wins(
    shop: Shop, revoke: Callable[[Shop, str], Awaitable[None]], initiator: str, told: bool
) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "processing_then_success,success")
    await shop.advance(clock, DUE)
    await revoke(shop, agreement)
    await workflow_closed(shop, agreement)
    revocation = (await shop.read(agreement))["revocation"]
    assert (revocation["initiator"], revocation["provider_status"]) == (initiator, "done")
    assert ((await agreement_row(shop.house, agreement)).revoke_tries > 0) is told
    assert (await credential(shop, agreement))["status"] == "revoked"
    await shop.advance(clock, "2027-04-30T02:00:00Z")
    [charge] = [row for row in await audited(shop, agreement) if row["attempts"]]
    assert (charge["status"], charge["attempts"][0]["status"]) == ("canceled", "canceled")
    assert [(row["kind"], row["status"]) for row in await shop.ledger(agreement)] == [
        ("debit", "failed"),
        ("cancel", "succeeded"),
    ]
