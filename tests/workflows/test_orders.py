"""Orders by signal: whatever an operator sends, the workflow takes what it understands and never breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle
from temporalio.common import RawValue

from activities.contract import Obeyed, OrderInput, OrderKind
from agreements.standing import Standing
from agreements.status import AgreementStatus
from tests.promises.support import until
from tests.support.clock import WorkflowClock
from tests.workflows.support import Script, closed, due, running, standing
from workflows.messages import AgreementStart
from workflows.orders import Order

Handle = WorkflowHandle[Any, AgreementStatus]


def sent(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    """A payload as a client puts it on the wire."""
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


NONSENSE = {
    "a string": [sent(b'"please"')],
    "a list": [sent(b"[1, 2]")],
    "null": [sent(b"", b"binary/null")],
    "no JSON": [sent(b"{reason: now}")],
    "bytes": [sent(b"\xff\x00", b"binary/plain")],
    "an unknown encoding": [sent(b"x", b"never/heard")],
    "no encoding": [RawValue(Payload(data=b"{}"))],
    "two payloads": [sent(b'{"reason": "one"}'), sent(b'{"reason": "two"}')],
    "an unknown field": [sent(b'{"reason": "gone", "force": true}')],
    "an unknown initiator": [sent(b'{"initiator": "nobody"}')],
    "a reason that is none": [sent(b'{"reason": ""}')],
    "an endless reason": [sent(b'{"reason": "' + b"x" * 257 + b'"}')],
}


def waiting() -> tuple[Standing, Script]:
    """An agreement whose next debit is a month away, and which ends when it is told anything."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + timedelta(days=30)),))
    script = Script(lambda kind, step: first)
    script.obeyed = Obeyed(standing=closed(first))
    return first, script


async def details_of(handle: Handle) -> str:
    """What an operator reads on the workflow's page."""
    found = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(found.current_details)


def heard(script: Script) -> list[tuple[OrderKind, str, str | None]]:
    return [(order.kind, order.initiator, order.reason) for order in script.orders]


async def obeyed(script: Script, orders: int) -> bool:
    return len(script.orders) == orders


async def test_an_order_is_carried_out_with_what_its_payload_says(clock: WorkflowClock) -> None:
    first, script = waiting()
    script.obeyed = Obeyed(standing=first.model_copy(update={"version": 2}))
    async with running(clock.client, script, AgreementStart(standing=first)) as agreement:
        await agreement.signal("request_card_change", {"initiator": "customer", "reason": "asked by phone"})
        await agreement.signal("request_card_change")
        await until(partial(obeyed, script, 2))
        script.obeyed = Obeyed(standing=closed(first))
        await agreement.signal("revoke", sent(b'{"reason": "fraud"}'))
        assert await agreement.result() is AgreementStatus.COMPLETED
    assert heard(script) == [
        (OrderKind.REQUEST_CARD_CHANGE, "customer", "asked by phone"),
        (OrderKind.REQUEST_CARD_CHANGE, "merchant", None),
        (OrderKind.REVOKE, "merchant", "fraud"),
    ]


@pytest.mark.parametrize("payloads", NONSENSE.values(), ids=NONSENSE)
async def test_a_payload_that_makes_no_sense_is_ignored_and_the_order_is_not(
    clock: WorkflowClock, payloads: list[RawValue]
) -> None:
    first, script = waiting()
    async with running(clock.client, script, AgreementStart(standing=first)) as agreement:
        await agreement.signal("revoke", args=payloads)
        assert await agreement.result() is AgreementStatus.COMPLETED
        assert "payload of signal 'revoke' is ignored" in await details_of(agreement)
    assert heard(script) == [(OrderKind.REVOKE, "merchant", None)]


async def test_an_unknown_signal_does_nothing_and_is_shown(clock: WorkflowClock) -> None:
    first, script = waiting()
    async with running(clock.client, script, AgreementStart(standing=first)) as agreement:
        await agreement.signal("revok", {"reason": "a slip"})
        assert "signal 'revok' is not known, and is ignored" in await details_of(agreement)
        assert script.orders == []
        await agreement.signal("revoke")
        await agreement.result()
        assert "not known" not in await details_of(agreement)


async def test_an_order_that_is_refused_is_shown(clock: WorkflowClock) -> None:
    first, script = waiting()
    script.obeyed = Obeyed(standing=closed(first), refused="an agreement that is completed cannot be revoked")
    async with running(clock.client, script, AgreementStart(standing=first)) as agreement:
        await agreement.signal("revoke")
        await agreement.result()
        shown = await details_of(agreement)
    assert "signal 'revoke' could not be obeyed: an agreement that is completed cannot be revoked" in shown


async def test_an_order_goes_before_a_debit_that_is_due(clock: WorkflowClock) -> None:
    """Revocation wins over a debit of the same moment."""
    first, script = waiting()
    overdue = first.model_copy(update={"charges": (due(1, datetime.now(UTC) - timedelta(hours=1)),)})
    start = AgreementStart(standing=overdue, orders=[Order(kind=OrderKind.REVOKE)])
    async with running(clock.client, script, start) as agreement:
        assert await agreement.result() is AgreementStatus.COMPLETED
    assert (heard(script), script.steps) == ([(OrderKind.REVOKE, "merchant", None)], [])


async def test_an_order_survives_a_continue_as_new(clock: WorkflowClock) -> None:
    first, script = waiting()
    async with running(clock.client, script, AgreementStart(standing=first, roll_after=15)) as agreement:
        first_run = (await agreement.describe()).run_id
        for _ in range(6):  # four events each, and none of them wakes the loop
            await agreement.signal("no such signal")
            await details_of(agreement)
        await agreement.signal("revoke", {"reason": "carried over"})
        assert await agreement.result() is AgreementStatus.COMPLETED
        assert (await agreement.describe()).run_id != first_run
    assert heard(script) == [(OrderKind.REVOKE, "merchant", "carried over")]


def test_an_order_of_another_release_is_read() -> None:
    """Fields that came later have defaults."""
    order = OrderInput.model_validate({"agreement_id": "agr_1", "kind": "revoke", "at": datetime.now(UTC)})
    assert (order.initiator, order.reason) == ("merchant", None)
