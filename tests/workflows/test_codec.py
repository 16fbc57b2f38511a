"""What Temporal stores is sealed, and stays readable while keys come and go under running agreements."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.contract import STEPS, StepInput, gateway_queue
from agreements.agenda import StepKind
from agreements.standing import Standing
from agreements.status import AgreementStatus
from tests.promises.leaks import leaked, unseal
from tests.promises.support import until
from tests.support.clock import WorkflowClock
from tests.workflows.support import closed, due, standing
from tests.workflows.test_replay import replayer
from workflows.agreement import AgreementWorkflow
from workflows.codec import PayloadNotOpened, SealedPayloads, data_converter, key_id
from workflows.messages import AgreementStart, agreement_workflow_id

Handle = WorkflowHandle[AgreementWorkflow, AgreementStatus]
PLAIN = SecretStr("plain")
MONTH = timedelta(days=30)
PRIVATE = ("ana@example.com", "sub-ana-1", "PHP 499.00", "cus-ana")


def key() -> SecretStr:
    return SecretStr(Fernet.generate_key().decode())


def speaking(client: Client, *ring: SecretStr) -> Client:
    """The same server, with this ring of keys."""
    config = client.config()
    config["data_converter"] = data_converter(ring)
    return Client(**config)


class Life:
    """An agreement with two cycles whose workers come and go; its first charge fails once, with a telling message."""

    def __init__(self, clock: WorkflowClock) -> None:
        now = datetime.now(UTC)
        first = standing(now, charges=(due(1, now + MONTH),), terms="PHP 499.00 monthly")
        identity = first.agreement.model_copy(update={"customer_id": "cus-ana", "reference": "sub-ana-1"})
        self.clock, self.first = clock, first.model_copy(update={"agreement": identity})
        self.queue, self.failed = uuid4().hex, False

    @activity.defn(name=STEPS[StepKind.CHARGE])
    async def charge(self, given: StepInput) -> Standing:
        if not self.failed:
            self.failed = True
            raise ApplicationError("no receipt for ana@example.com", "PHP 499.00")
        if given.subject == "chg_1":
            second = due(2, self.first.as_of + MONTH * 2)
            return self.first.model_copy(update={"version": 2, "charges": (second,)})
        return closed(self.first)

    @asynccontextmanager
    async def worked(self, *ring: SecretStr) -> AsyncIterator[Handle]:
        """Workers and a client with these keys."""
        client = speaking(self.clock.client, *ring)
        agreement = self.first.agreement
        async with (
            # Without a cache every task starts from the first event, which the oldest key has sealed.
            Worker(client, task_queue=self.queue, workflows=[AgreementWorkflow], max_cached_workflows=0),
            Worker(client, task_queue=gateway_queue(agreement.gateway), activities=[self.charge]),
        ):
            yield client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(agreement.id))

    async def begin(self, *ring: SecretStr) -> None:
        await speaking(self.clock.client, *ring).start_workflow(
            AgreementWorkflow.run,
            AgreementStart(standing=self.first),
            id=agreement_workflow_id(self.first.agreement.id),
            task_queue=self.queue,
            static_summary="sub-ana-1: PHP 499.00 monthly",
            memo={"customer": "ana@example.com"},
        )

    async def month(self, handle: Handle) -> None:
        plain = self.clock.client.get_workflow_handle(handle.id)
        await self.clock.advance(plain, MONTH + timedelta(days=1))


def raw(history: WorkflowHistory) -> bytes:
    return history.to_json().encode() + b"".join(event.SerializeToString() for event in history.events)


async def test_nothing_private_is_stored_in_clear(clock: WorkflowClock) -> None:
    """Nor what fails, nor what an operator says; and every part of it can be read with the keys."""
    life, older, newer = Life(clock), key(), key()
    await life.begin(older)
    async with life.worked(older) as handle:
        await life.month(handle)
    async with life.worked(newer, older) as handle:
        await handle.signal("revoke", {"reason": "ana@example.com wrote to us"})
        described = await handle.describe()
        assert (await described.static_summary(), await described.memo()) == (
            "sub-ana-1: PHP 499.00 monthly",
            {"customer": "ana@example.com"},
        )
        assert (await handle.query(AgreementWorkflow.snapshot)).agreement.customer_id == "cus-ana"
        history = await handle.fetch_history()
        await handle.terminate()
    started = [event.activity_task_started_event_attributes for event in history.events]
    assert [each.attempt for each in started if each.attempt] == [2], "the failure is told in the history"
    assert leaked(raw(history), PRIVATE) == set()
    assert leaked(described.raw_description.SerializeToString(), PRIVATE) == set()
    for ring in ((newer, older), (PLAIN, older, newer)):
        await replayer(data_converter(ring)).replay_workflow(history)


async def test_keys_come_and_go_under_a_running_agreement(
    clock: WorkflowClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Begun in clear, then sealed, then under a newer key; the old one, gone too early, is missed and put back."""
    life, older, newer = Life(clock), key(), key()
    await life.begin()
    async with life.worked() as handle:
        await handle.query(AgreementWorkflow.snapshot)
    async with life.worked(PLAIN, older) as handle:  # every process can open before the first one seals
        await handle.query(AgreementWorkflow.snapshot)
        in_clear = await handle.fetch_history()
    async with life.worked(older) as handle:
        await life.month(handle)
        sealed = await handle.fetch_history()
    assert leaked(raw(in_clear), PRIVATE) >= {"PHP 499.00", "cus-ana"}
    told = len(in_clear.events)
    assert leaked(raw(WorkflowHistory(handle.id, sealed.events[told:])), PRIVATE) == set()

    async with life.worked(newer) as handle:
        await handle.signal(AgreementWorkflow.nudge)
        await until(lambda: _said(caplog, key_id_of(older)))
    with pytest.raises(PayloadNotOpened, match="put it back at the end of the ring"):
        await _opened(sealed, newer)

    async with life.worked(newer, older) as handle:
        await life.month(handle)
        assert await handle.result() is AgreementStatus.COMPLETED


async def _said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text and "AUTODEBIT_PAYLOAD_KEYS" in caplog.text


def key_id_of(secret: SecretStr) -> str:
    return key_id(urlsafe_b64decode(secret.get_secret_value()))


async def _opened(history: WorkflowHistory, *ring: SecretStr) -> None:
    for event in history.events:
        await unseal(event, SealedPayloads(ring))


def test_a_sealed_payload_that_was_changed_does_not_open() -> None:
    codec = SealedPayloads([key()])
    sealed = codec.seal(Payload(metadata={"encoding": b"json/plain"}, data=b'"Ana"'))
    assert codec.seal(sealed) == sealed, "not twice"
    assert codec.seal(codec.open(sealed)) != sealed, "under a nonce of its own"
    flipped = Payload(metadata=sealed.metadata, data=sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]))
    for broken in (flipped, Payload(metadata=sealed.metadata, data=b"short"), Payload(metadata=sealed.metadata)):
        with pytest.raises(PayloadNotOpened, match="was changed"):
            codec.open(broken)
    with pytest.raises(PayloadNotOpened, match="not among"):
        codec.open(Payload(metadata={"encoding": b"binary/encrypted"}, data=sealed.data))
    assert codec.open(Payload(data=b"{}")) == Payload(data=b"{}"), "what has no metadata at all passes"
