"""What providers and returning customers say: journalled, verified, matched, told once, acknowledged."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog
from sqlmodel import col, select
from temporalio.client import Client

from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus
from api.app import create_app
from api.main import connect
from gateways.antom import signing
from gateways.antom.notifications import ACKNOWLEDGED
from settings import Settings
from store import creation, ids, journal
from store.changes import change
from store.database import Database
from store.tables import Attempt, Authorization, Charge, Notification
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, activate, assert_problem, assert_ready
from tests.gateways.antom_fixtures import ANTOM_KEY, CLIENT_ID, FORGER_KEY, result
from workflows.messages import agreement_workflow_id

SENT_AT = "2055-01-31T09:00:05+08:00"


def signed(shop: Shop, message: dict[str, Any], key: Any = ANTOM_KEY, client_id: str = CLIENT_ID) -> dict[str, Any]:
    """A notification as Antom sends it to the merchant's account."""
    path, content = f"/notifications/antom/{shop.account}", json.dumps(message).encode()
    headers = {
        "content-type": "application/json",
        "client-id": client_id,
        "request-time": SENT_AT,
        "signature": signing.sign(key, "POST", path, client_id, SENT_AT, content),
    }
    return {"url": path, "content": content, "headers": headers}


async def notify(shop: Shop, message: dict[str, Any], **options: Any) -> httpx.Response:
    return await shop.http.post(**signed(shop, message, **options))


def paid(request_id: str, value: int = 49900, code: str = "SUCCESS", status: str = "S") -> dict[str, Any]:
    return result(code, status) | {
        "notifyType": "PAYMENT_RESULT",
        "paymentRequestId": request_id,
        "paymentId": f"p-{request_id}",
        "paymentAmount": {"currency": "PHP", "value": str(value)},
    }


def authorized(state: str, code: str = "ac_secret") -> dict[str, Any]:
    return result() | {"authorizationNotifyType": "AUTHCODE_CREATED", "authCode": code, "authState": state}


def canceled(token: str) -> dict[str, Any]:
    return result() | {"authorizationNotifyType": "TOKEN_CANCELED", "accessToken": token, "reason": "USER_CANCEL"}


async def journal_of(database: Database, shop: Shop) -> list[Notification]:
    async with database.transaction() as session:
        query = select(Notification).where(Notification.account_id == shop.account)
        return list(await session.exec(query.order_by(col(Notification.id))))


async def told(temporal: Client, agreement_id: str) -> list[str]:
    """The notifications a workflow was told of."""
    handle = temporal.get_workflow_handle(agreement_workflow_id(agreement_id))
    history = await handle.fetch_history()
    signals = [event.workflow_execution_signaled_event_attributes for event in history.events]
    inputs = [signal.input.payloads for signal in signals if signal.signal_name == "provider_news"]
    return [notification for payloads in inputs for notification in await temporal.data_converter.decode(payloads)]


async def with_attempt(database: Database, shop: Shop, status: AttemptStatus) -> tuple[str, str]:
    """An agreement with one attempt in this status: their ids; the attempt's is also its request id."""
    agreement_id = (await shop.create())["id"]
    now, attempt_id, charge_id = datetime.now(UTC), ids.new("att"), ids.new("chg")
    async with change(database, agreement_id) as locked:
        charge = Charge(
            id=charge_id,
            agreement_id=agreement_id,
            merchant_id=shop.principal.merchant_id,
            livemode=shop.principal.livemode,
            cycle=1,
            purpose=ChargePurpose.CYCLE,
            status=ChargeStatus.PROCESSING,
            currency="PHP",
            amount=49900,
            due_at=now,
            created_at=now,
        )
        locked.session.add(charge)
        await locked.session.flush()
        attempt = Attempt(
            id=attempt_id,
            agreement_id=agreement_id,
            charge_id=charge_id,
            number=1,
            gateway_request_id=attempt_id,
            status=status,
            currency="PHP",
            amount=49900,
            credential_id="",
            prepared_at=now,
            sent_at=now,
        )
        locked.session.add(attempt)
    return agreement_id, attempt_id


async def renewed_state(database: Database, vault: Vault, agreement_id: str) -> str:
    """The authorization's state, as its request to the provider would have it."""
    async with database.transaction() as session:
        query = select(Authorization).where(Authorization.agreement_id == agreement_id)
        authorization = (await session.exec(query)).one()
        state = creation.renew_state(vault, authorization)
        session.add(authorization)
    return state


async def test_news_reaches_the_workflow_once_and_without_its_secrets(
    shop: Shop, database: Database, vault: Vault, temporal: Client
) -> None:
    agreement_id = (await shop.create())["id"]
    state = await renewed_state(database, vault, agreement_id)
    answers = await asyncio.gather(*(notify(shop, authorized(state)) for _ in range(10)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, ACKNOWLEDGED)}
    rows = await journal_of(database, shop)
    assert sorted(row.status for row in rows) == ["duplicate"] * 9 + ["signalled"]
    signalled = next(row for row in rows if row.status == "signalled")
    assert signalled.agreement_id == agreement_id
    assert await told(temporal, agreement_id) == [signalled.id]
    assert b"ac_secret" in journal.unseal(vault, signalled.sealed_message).body
    columns = [value for row in rows for value in row.model_dump(exclude={"sealed_message"}).values()]
    assert not any("ac_secret" in str(value) or state in str(value) for value in columns)


FORGED: list[tuple[str, dict[str, Any], int]] = [
    ("another key", {"key": FORGER_KEY}, 401),
    ("another client", {"client_id": "SANDBOX_OTHER"}, 401),
]


@pytest.mark.parametrize(("options", "status"), [f[1:] for f in FORGED], ids=[f[0] for f in FORGED])
async def test_a_forged_notification_changes_nothing(
    shop: Shop, database: Database, temporal: Client, options: dict[str, Any], status: int
) -> None:
    agreement_id, request_id = await with_attempt(database, shop, AttemptStatus.PROCESSING)
    before = (await shop.get(f"/v1/agreements/{agreement_id}")).json()
    answer = await notify(shop, paid(request_id), **options)
    assert answer.status_code == status
    assert answer.json()["result"]["resultStatus"] == "F"
    assert [row.status for row in await journal_of(database, shop)] == ["refused"]
    assert await told(temporal, agreement_id) == []
    assert (await shop.get(f"/v1/agreements/{agreement_id}")).json() == before


async def test_a_changed_or_unsigned_notification_is_refused(shop: Shop, database: Database) -> None:
    sent = signed(shop, paid("att_1"))
    assert (await shop.http.post(**sent | {"content": sent["content"].replace(b"49900", b"99900")})).status_code == 401
    assert (await shop.http.post(**sent | {"headers": {}})).status_code == 401
    garbage = await notify(shop, {"no": "result"})
    assert (garbage.status_code, garbage.json()["result"]["resultCode"]) == (400, "PARAM_ILLEGAL")
    assert [row.status for row in await journal_of(database, shop)] == ["refused"] * 3


async def test_another_account_s_signature_does_not_count(shop: Shop, live_shop: Shop, database: Database) -> None:
    """Both merchants have the same keys here, so only the match by account keeps them apart."""
    _, request_id = await with_attempt(database, shop, AttemptStatus.PROCESSING)
    assert (await notify(live_shop, paid(request_id))).status_code == 200
    assert [row.status for row in await journal_of(database, live_shop)] == ["unmatched"]


async def test_an_unknown_address_is_no_notification(shop: Shop, database: Database) -> None:
    for path in ("/notifications/antom/gwa_nope", "/notifications/antom/%00", f"/notifications/ottu/{shop.account}"):
        assert_problem(await shop.http.post(path, content=b"{}"), 404, "not_found")
    assert await journal_of(database, shop) == []


S, F = ("SUCCESS", "S"), ("PROCESS_FAIL", "F")


@pytest.mark.parametrize(
    ("status", "outcome", "value", "verdict"),
    [
        (AttemptStatus.SUCCEEDED, S, 49900, "ignored"),
        (AttemptStatus.REVERSED, S, 49900, "ignored"),
        (AttemptStatus.CANCELED, S, 49900, "signalled"),  # whether the cancel stands is the provider's to say
        (AttemptStatus.FAILED, F, 49900, "ignored"),
        (AttemptStatus.CANCELED, F, 49900, "ignored"),
        (AttemptStatus.SUCCEEDED, S, 1, "signalled"),
        (AttemptStatus.SUCCEEDED, F, 49900, "signalled"),
        (AttemptStatus.FAILED, S, 49900, "signalled"),
        (AttemptStatus.UNKNOWN, S, 49900, "signalled"),
        (AttemptStatus.PROCESSING, F, 49900, "signalled"),
        (AttemptStatus.SENT, S, 49900, "signalled"),
    ],
)
async def test_a_payment_message_is_told_only_when_it_says_something_new(
    shop: Shop,
    database: Database,
    temporal: Client,
    status: AttemptStatus,
    outcome: tuple[str, str],
    value: int,
    verdict: str,
) -> None:
    agreement_id, request_id = await with_attempt(database, shop, status)
    code, result_status = outcome
    answer = await notify(shop, paid(request_id, value, code, result_status))
    assert answer.content == ACKNOWLEDGED
    rows = await journal_of(database, shop)
    assert [row.status for row in rows] == [verdict]
    assert await told(temporal, agreement_id) == ([rows[0].id] if verdict == "signalled" else [])


async def test_the_answer_of_a_call_under_way_comes_before_its_notification(
    shop: Shop, database: Database, temporal: Client
) -> None:
    agreement_id, request_id = await with_attempt(database, shop, AttemptStatus.SENT)

    async def answer_is_recorded() -> None:
        await asyncio.sleep(0.1)
        async with database.transaction() as session:
            (await session.get_one(Attempt, request_id)).status = AttemptStatus.SUCCEEDED

    await asyncio.gather(notify(shop, paid(request_id)), answer_is_recorded())
    assert [row.status for row in await journal_of(database, shop)] == ["ignored"]
    assert await told(temporal, agreement_id) == []


async def test_a_cancellation_finds_its_agreement_by_the_token(
    shop: Shop, database: Database, vault: Vault, temporal: Client
) -> None:
    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, f"at_{shop.account}")
    await notify(shop, canceled("at_unknown"))
    await notify(shop, canceled(f"at_{shop.account}"))
    rows = await journal_of(database, shop)
    assert [row.status for row in rows] == ["unmatched", "signalled"]
    assert await told(temporal, agreement_id) == [rows[1].id]


async def test_the_echo_of_our_own_revocation_is_ignored(shop: Shop, database: Database, vault: Vault) -> None:
    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, f"at_{shop.account}")
    await shop.post(f"/v1/agreements/{agreement_id}/revoke")
    async with change(database, agreement_id) as locked:
        locked.agreement.revocation = {**(locked.agreement.revocation or {}), "provider_status": "done"}
        locked.agreement.revoke_at = None
    await notify(shop, canceled(f"at_{shop.account}"))
    assert [row.status for row in await journal_of(database, shop)] == ["ignored"]


async def test_shuffled_and_repeated_messages_are_all_acknowledged(
    shop: Shop, database: Database, vault: Vault, temporal: Client
) -> None:
    agreement_id, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    state = await renewed_state(database, vault, agreement_id)
    pending = result() | {"notifyType": "PAYMENT_PENDING", "paymentRequestId": request_id, "paymentId": "p"}
    messages = [authorized(state), pending, paid(request_id), canceled("at_unknown")] * 10
    random.Random(7).shuffle(messages)
    answers = await asyncio.gather(*(notify(shop, message) for message in messages))
    assert {answer.content for answer in answers} == {ACKNOWLEDGED}
    assert len(await told(temporal, agreement_id)) == 3, "each message that concerns the agreement once"


async def test_news_waits_in_the_journal_while_temporal_is_away(
    shop: Shop, settings: Settings, database: Database, vault: Vault
) -> None:
    _, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    nowhere = await connect(settings.model_copy(update={"temporal_address": "127.0.0.1:1"}))
    app = create_app(settings, database, vault, nowhere, QUICK)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://pay.example") as http:
        lost = Shop(shop.principal, shop.key, shop.account, http)
        answer = await notify(lost, paid(request_id))
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"]
        await assert_ready(http, status="away", postgresql="ok", temporal="away")
    assert [row.status for row in await journal_of(database, shop)] == ["signalled"], "the sweeper tells it"


async def test_a_returning_customer_brings_the_code_and_leaves_without_it(
    shop: Shop, database: Database, vault: Vault, temporal: Client
) -> None:
    agreement_id = (await shop.create())["id"]
    state = await renewed_state(database, vault, agreement_id)
    with structlog.testing.capture_logs() as lines:
        answer = await shop.http.get(f"/returns/antom/{state}", params={"authCode": "ac_secret", "authState": state})
    assert answer.status_code == 303
    target = urlsplit(answer.headers["location"])
    assert (target.netloc, target.path) == ("merchant.example", "/return")
    assert parse_qs(target.query) == {"from": ["wallet"], "agreement": [agreement_id]}
    await notify(shop, authorized(state))
    rows = await journal_of(database, shop)
    assert [(row.source, row.status) for row in rows] == [("return", "signalled"), ("notification", "duplicate")]
    assert await told(temporal, agreement_id) == [rows[0].id]
    assert journal.unseal(vault, rows[0].sealed_message).query["authCode"] == "ac_secret"
    assert lines
    assert "ac_secret" not in str(lines)
    assert state not in str(lines)


@pytest.mark.parametrize(
    "query",
    [{}, {"authCode": "ac_secret", "authState": "another"}, {"authCode": "a" * 500, "authState": "x"}, {"x": "\0"}],
    ids=["declined", "wrong state", "too long", "NUL"],
)
async def test_a_customer_without_a_usable_code_goes_on_too(
    shop: Shop, database: Database, vault: Vault, temporal: Client, query: dict[str, str]
) -> None:
    agreement_id = (await shop.create())["id"]
    state = await renewed_state(database, vault, agreement_id)
    answer = await shop.http.get(f"/returns/antom/{state}", params=query)
    assert answer.status_code == 303
    assert "authCode" not in answer.headers["location"]
    assert await told(temporal, agreement_id) == []


async def test_an_unknown_return_is_a_page_for_people(shop: Shop) -> None:
    for path in ("/returns/antom/nope", "/returns/ottu/nope", "/returns/antom/%00"):
        assert_problem(await shop.http.get(path), 404, "not_found")
    page = await shop.http.get("/returns/antom/nope", headers={"accept": "text/html,*/*"})
    assert page.status_code == 404
    assert "text/html" in page.headers["content-type"]
