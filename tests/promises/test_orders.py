"""An operator with nothing but Temporal's own tool revokes an agreement, or asks its customer for another card."""

from __future__ import annotations

import asyncio
from datetime import datetime

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.testing import ActivityEnvironment

from activities.contract import Obeyed, OrderInput, OrderKind
from activities.orders import Orders
from cli.embedded.temporal import program
from tests.promises.customers import NEXT_DAY, changes, debits, follow
from tests.promises.support import START, audited, by_hand, types, until, workflow_closed
from tests.support.house import Shop, agreement_body
from workflows.messages import agreement_workflow_id


async def signal(shop: Shop, agreement: str, name: str, payload: str | None = None) -> int:
    """`temporal workflow signal`, as documented; answers its exit code."""
    command = [program(), "workflow", "signal", "--address", shop.house.settings.temporal_address]
    command += ["--workflow-id", agreement_workflow_id(agreement), "--name", name]
    if payload is not None:
        command += ["--input", payload]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def has_links(shop: Shop, agreement: str, *statuses: str) -> bool:
    return await changes(shop, agreement) == list(statuses)


async def remark(shop: Shop, agreement: str, text: str) -> bool:
    """Whether the workflow's page says so."""
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    found = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return text in found.current_details


async def test_a_revocation_by_signal_stops_the_agreement_and_reaches_the_provider(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    assert await signal(shop, agreement, "revoke", '{"reason": "court order"}') == 0
    await workflow_closed(shop, agreement)
    shown = await shop.read(agreement)
    revocation = shown["revocation"]
    assert (shown["status"], revocation["initiator"], revocation["reason"]) == ("revoked", "merchant", "court order")
    assert revocation["provider_status"] == "done"
    assert (await types(shop, agreement))[-1] == "agreement.revoked"
    await shop.advance(clock, "2027-04-30T02:00:00Z")
    assert await debits(shop, agreement) == []
    await audited(shop, agreement)


async def test_a_revocation_by_signal_and_one_by_the_api_are_one(shop: Shop) -> None:
    """Its name is the update's too; here both are on their way at once."""
    agreement = await shop.agree(None)
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    await asyncio.gather(
        handle.signal("revoke", {"reason": "by signal", "initiator": "customer"}),
        shop.call("POST", f"/v1/agreements/{agreement}/revoke", {"reason": "by the API"}),
    )
    await workflow_closed(shop, agreement)
    assert (await types(shop, agreement)).count("agreement.revoked") == 1
    revocation = (await shop.read(agreement))["revocation"]
    assert (revocation["initiator"], revocation["reason"]) in (("customer", "by signal"), ("merchant", "by the API"))
    await audited(shop, agreement)


async def test_a_card_change_by_signal_is_a_link_for_the_customer(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    assert await signal(shop, agreement, "request_card_change", '{"reason": "by phone", "initiator": "customer"}') == 0
    await until(lambda: has_links(shop, agreement, "pending"))
    [link] = (await shop.call("GET", f"/v1/agreements/{agreement}/card-changes"))["data"]
    assert (link["initiator"], link["reason"], link["status"]) == ("customer", "by phone", "pending")
    assert (await follow(shop, link["url"])).status_code == 303
    await shop.advance(clock, NEXT_DAY)
    assert await signal(shop, agreement, "request_card_change") == 0
    await until(lambda: has_links(shop, agreement, "expired", "pending"))
    newest = (await shop.call("GET", f"/v1/agreements/{agreement}/card-changes"))["data"][0]
    assert (newest["initiator"], newest["reason"]) == ("merchant", None)


async def test_what_the_agreement_does_not_allow_is_refused_and_the_workflow_goes_on(shop: Shop) -> None:
    made = await shop.call("POST", "/v1/agreements", agreement_body(None), expect=201)
    agreement = str(made["id"])
    assert await signal(shop, agreement, "request_card_change", '"now"') == 0
    await until(lambda: remark(shop, agreement, "an agreement that is pending_authorization has no card to change"))
    await shop.decide(made["authorization"]["url"], decision="approve")
    await shop.until_status(agreement, "active")
    assert await types(shop, agreement, "card_change.") == []


async def test_an_order_repeated_by_a_second_worker_makes_no_second_link(shop: Shop) -> None:
    """The first died after its change was committed."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    order = OrderInput(
        agreement_id=agreement, kind=OrderKind.REQUEST_CARD_CHANGE, at=datetime.fromisoformat(START), reason="once"
    )
    async with by_hand(shop.house) as hand:
        for _ in range(2):
            obeyed: Obeyed = await ActivityEnvironment().run(Orders(hand.bench).obey, order)
            assert obeyed.refused == ""
    assert await types(shop, agreement, "card_change.") == ["card_change.requested"]
