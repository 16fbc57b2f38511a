"""Promise 8 for people: what Temporal stores of a whole life tells nobody who the customer is, nor what they pay."""

from __future__ import annotations

from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecution

from tests.promises.leaks import leaked
from tests.promises.support import until, workflow_closed
from tests.support.house import Shop, agreement_body
from workflows.messages import agreement_workflow_id

CUSTOMER = {
    "id": "cus-of-ana-7",
    "name": "Ana Cruz",
    "email": "ana@example.com",
    "phone": "+639170000000",
    "region": "PH",
}
REFERENCE = "sub-of-ana-1"
REASON = "she moved to Cebu"
AMOUNT = {"currency": "PHP", "value": 498_317_655}
"""So many digits that no id happens to hold them."""
IN_CLEAR = {"AgreementStatus", "Merchant", "Gateway", "Customer", "Reference", "NextChargeAt", "PastDue", "BuildIds"}


async def test_a_life_on_the_server_is_sealed(shop: Shop) -> None:
    temporal = shop.house.temporal
    clock = await shop.clock("2027-01-31T00:00:00Z")
    given = agreement_body(clock, customer=CUSTOMER, reference=REFERENCE, terms={"amount": AMOUNT})
    made = await shop.call("POST", "/v1/agreements", given, expect=201)
    agreement = str(made["id"])
    await shop.decide(made["authorization"]["url"], decision="approve", script="insufficient_funds,success")
    await shop.until_status(agreement, "active")
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    handle = temporal.get_workflow_handle(agreement_workflow_id(agreement))
    await handle.signal("revoke", {"reason": REASON})
    await workflow_closed(shop, agreement)

    described = await handle.describe()
    assert REFERENCE in str(await described.static_summary())
    assert "PHP 4,983,176.55" in str(await described.static_summary())
    found: dict[str, bytes] = {}
    events = [event async for event in handle.fetch_history_events()]
    assert len(events) > 30
    for event in events:
        found.update(taken_out(event))
    assert set(found) <= IN_CLEAR
    assert leaked(b"".join(found.values()), [CUSTOMER["id"], REFERENCE]) == {CUSTOMER["id"], REFERENCE}
    private = [*CUSTOMER.values(), REFERENCE, REASON, "PHP 4,983", "498317655", "GCASH", given["return_url"]]
    private.remove("PH")  # too short to be told from chance
    told = b"".join(event.SerializeToString() for event in events)
    assert leaked(told, private) == set()

    async def ended() -> list[WorkflowExecution]:
        """What the list, which lags behind, shows of it."""
        query = f"WorkflowId = '{handle.id}' and ExecutionStatus = 'Completed'"
        return [part async for part in temporal.list_workflows(query)]

    await until(ended)
    [shown] = await ended()
    shown.raw_info.ClearField("search_attributes")
    assert leaked(shown.raw_info.SerializeToString(), private) == set()


def taken_out(event: HistoryEvent) -> dict[str, bytes]:
    """The event's search attributes, which Temporal stores in clear to find workflows by; it loses them."""
    found: dict[str, Payload] = {}
    for part in (
        event.workflow_execution_started_event_attributes,
        event.upsert_workflow_search_attributes_event_attributes,
        event.workflow_execution_continued_as_new_event_attributes,
    ):
        if part.HasField("search_attributes"):
            found.update(part.search_attributes.indexed_fields)
            part.search_attributes.CopyFrom(SearchAttributes())
    return {name: payload.data for name, payload in found.items()}
