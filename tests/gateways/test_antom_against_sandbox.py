"""The connector over real HTTP against the sandbox, which shares none of its mapping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.antom.connector import Antom
from gateways.antom.notifications import ACKNOWLEDGED, from_return, parse, refusal
from gateways.http import client
from gateways.port import (
    Account,
    AuthorizationRequest,
    BadNotification,
    Call,
    ChargeRequest,
    News,
    NewsKind,
    RefundRequest,
    Token,
    Verdict,
)
from sandbox.antom.app import create_app
from sandbox.antom.settings import AntomSettings
from sandbox.server import Server
from tests.gateways.antom_fixtures import (
    AMOUNT,
    CALL,
    CLIENT_ID,
    FORGER_KEY,
    MERCHANT_KEY,
    account,
    private_text,
    public_text,
)

NUMBERS = count(1)


@dataclass
class World:
    """A merchant with the connector and a notify URL, and the sandbox at `url`."""

    url: str
    account: Account
    antom: Antom
    http: httpx.AsyncClient
    notify_url: str
    inbox: list[News] = field(default_factory=list)
    """News the sandbox told, after its signature was verified."""

    async def authorized(self, script: str = "success", call: Call = CALL, wallet: str = "GCASH") -> Token:
        """A token whose debits follow `script`."""
        state = f"as_{next(NUMBERS)}"
        request = AuthorizationRequest(state, wallet, "https://engine.example/back?ref=1", self.notify_url, "PH")
        page = await self.antom.authorize(self.account, request, call)
        assert page.url is not None
        answered = await self.http.post(page.url, data={"decision": "approve", "script": script})
        assert answered.status_code == 303
        back = from_return(dict(parse_qsl(urlsplit(answered.headers["location"]).query)))
        assert back.authorization_state == state
        assert back in self.inbox
        assert back.code is not None
        issued = await self.antom.exchange(self.account, wallet, back.code, call)
        assert issued.token is not None
        return issued.token

    def debit(self, token: Token, value: int = AMOUNT.value) -> ChargeRequest:
        """A debit with an id of its own."""
        return ChargeRequest(
            request_id=f"att_{next(NUMBERS)}",
            order_id="chg_1",
            description="Monthly plan: café, 8月",
            amount=Money(currency="PHP", value=value),
            payment_method="GCASH",
            token=token.access_token,
            notify_url=self.notify_url,
            customer_id="cus-7",
        )

    async def told(self, kind: NewsKind, about: str) -> News:
        """Waits for news with this request id or token."""
        async with asyncio.timeout(60):
            while True:
                for news in self.inbox:
                    if news.kind is kind and about in (news.request_id, news.token):
                        return news
                await asyncio.sleep(0.02)

    async def debits(self, request_id: str) -> list[str]:
        """Status of the debits with this id in the provider's own books."""
        rows = (await self.http.get(f"{self.url}/_sandbox/ledger")).json()["data"]
        return [row["status"] for row in rows if (row["request_id"], row["kind"]) == (request_id, "debit")]


async def _up(server: uvicorn.Server) -> tuple[asyncio.Task[None], str]:
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    return task, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    books: Path = tmp_path_factory.mktemp("antom") / "antom.sqlite3"
    sandbox = Server(create_app(books, settings=AntomSettings(hold=2, acknowledge_within=30)), "127.0.0.1", 0)
    merchant = FastAPI()
    receiver = Server(merchant, "127.0.0.1", 0)
    serving, url = await _up(sandbox)
    receiving, address = await _up(receiver)
    async with client() as http:
        registered = await http.post(
            f"{url}/_sandbox/clients", json={"client_id": CLIENT_ID, "public_key": public_text(MERCHANT_KEY)}
        )
        keys = account(public_key=registered.json()["public_key"]).keys
        ours = Account("gwa_1", False, url, keys, sandbox=True)
        it = World(url, ours, Antom(http), http, f"{address}/notifications/antom/gwa_1?src=a%20b")

        @merchant.post("/notifications/antom/gwa_1")
        async def notified(request: Request) -> Response:
            path = f"{request.scope['raw_path'].decode()}?{request.scope['query_string'].decode()}"
            try:
                it.inbox += parse(it.account, "POST", path, request.headers, await request.body())
            except BadNotification as error:
                status, body = refusal(error.code)
                return Response(body, status)
            return Response(ACKNOWLEDGED, media_type="application/json")

        yield it
    sandbox.should_exit = receiver.should_exit = True
    await asyncio.gather(serving, receiving)


async def test_a_debit_from_consult_to_notification(world: World) -> None:
    token = await world.authorized()
    request = world.debit(token)
    got = await world.antom.charge(world.account, request, CALL)
    again = await world.antom.charge(world.account, request, CALL)
    news = await world.told(NewsKind.PAYMENT, request.request_id)

    assert (got.verdict, got.amount) == (Verdict.SUCCEEDED, AMOUNT)
    assert got.payment_id
    assert again == got
    assert (news.verdict, news.payment_id, news.amount) == (Verdict.SUCCEEDED, got.payment_id, AMOUNT)
    assert await world.debits(request.request_id) == ["succeeded"]
    assert token.expires_at is not None
    assert token.expires_at > datetime.now(UTC) + timedelta(days=100)


@pytest.mark.parametrize(
    ("script", "category"),
    [
        ("insufficient_funds", Category.INSUFFICIENT_FUNDS),
        ("limit_exceeded", Category.LIMIT_EXCEEDED),
        ("issuer_unavailable", Category.ISSUER_UNAVAILABLE),
        ("closed_account", Category.CLOSED_ACCOUNT),
        ("invalid_token", Category.INVALID_CREDENTIAL),
        ("revoked_by_payer", Category.INVALID_CREDENTIAL),
        ("authentication_required", Category.AUTHENTICATION_REQUIRED),
        ("risk_reject", Category.RISK),
        ("do_not_honor", Category.REVIEW),
    ],
)
async def test_declines(world: World, script: str, category: Category) -> None:
    request = world.debit(await world.authorized(script))
    got = await world.antom.charge(world.account, request, CALL)
    later = await world.antom.inquire(world.account, request.request_id, CALL)

    assert got.verdict is later.verdict is Verdict.DECLINED
    assert got.decline == later.decline
    assert got.decline is not None
    assert got.decline.category is category


@pytest.mark.parametrize(
    ("script", "evidence", "truth"),
    [
        ("lost_answer_success", "connection", Verdict.SUCCEEDED),
        ("lost_answer_failure", "connection", Verdict.DECLINED),
        ("garbage", "unreadable", Verdict.SUCCEEDED),
        ("bad_signature", "bad_signature", Verdict.SUCCEEDED),
        ("http_500", "http_500", Verdict.NOT_FOUND),
        ("timeout", "timeout", Verdict.NOT_FOUND),
    ],
)
async def test_an_unknown_debit_is_told_by_the_inquiry(
    world: World, script: str, evidence: str, truth: Verdict
) -> None:
    request = world.debit(await world.authorized(script))
    # The sandbox itself hangs up after two seconds.
    call = replace(CALL, timeout=timedelta(seconds=1)) if script == "timeout" else CALL
    got = await world.antom.charge(world.account, request, call)
    found = await world.antom.inquire(world.account, request.request_id, CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)
    assert found.verdict is truth
    assert found.amount == (None if truth is Verdict.NOT_FOUND else AMOUNT)


async def test_a_debit_in_process_is_decided_when_its_clock_gets_there(world: World) -> None:
    start = datetime(2031, 1, 31, 1, tzinfo=UTC)
    call = Call(timedelta(seconds=30), "clk_settle", start)
    request = world.debit(await world.authorized("processing_then_success", call))
    got = await world.antom.charge(world.account, request, call)
    early = await world.antom.inquire(world.account, request.request_id, call)
    later = replace(call, now=start + timedelta(minutes=1))
    async with asyncio.timeout(60):
        while (found := await world.antom.inquire(world.account, request.request_id, later)) == early:
            await asyncio.sleep(0.02)

    assert got.verdict is early.verdict is Verdict.PROCESSING
    assert (found.verdict, found.amount) == (Verdict.SUCCEEDED, AMOUNT)


async def test_cancel_ends_what_is_unfinished_and_gives_back_what_is_paid(world: World) -> None:
    unfinished = world.debit(await world.authorized("processing_then_success"))
    paid = world.debit(await world.authorized())
    for request in (unfinished, paid):
        await world.antom.charge(world.account, request, CALL)
        for _ in range(2):
            canceled = await world.antom.cancel(world.account, request.request_id, CALL)
            assert canceled.verdict is Verdict.SUCCEEDED
        assert (await world.antom.inquire(world.account, request.request_id, CALL)).verdict is Verdict.CANCELED

    assert (await world.antom.cancel(world.account, "att_never", CALL)).verdict is Verdict.NOT_FOUND


async def test_cancel_too_late_says_so(world: World) -> None:
    call = Call(timedelta(seconds=30), "clk_window", datetime(2031, 5, 1, 1, tzinfo=UTC))
    request = world.debit(await world.authorized(call=call))
    await world.antom.charge(world.account, request, call)
    late = replace(call, now=datetime(2031, 5, 1, 16, 15, tzinfo=UTC))
    got = await world.antom.cancel(world.account, request.request_id, late)

    assert got.verdict is Verdict.DECLINED
    assert got.decline is not None
    assert got.decline.raw_code == "CANCEL_WINDOW_EXCEED"


async def test_refunds(world: World) -> None:
    request = world.debit(await world.authorized())
    paid = await world.antom.charge(world.account, request, CALL)
    assert paid.payment_id is not None
    part = Money(currency="PHP", value=10000)
    refund = RefundRequest(f"rfd_{next(NUMBERS)}", paid.payment_id, part, "goodwill", world.notify_url)
    first = await world.antom.refund(world.account, refund, CALL)
    again = await world.antom.refund(world.account, refund, CALL)
    other = await world.antom.refund(world.account, replace(refund, amount=AMOUNT), CALL)
    rest = await world.antom.refund(world.account, replace(refund, request_id="rfd_rest", amount=AMOUNT), CALL)
    found = await world.antom.inquire_refund(world.account, refund.request_id, CALL)
    news = await world.told(NewsKind.REFUND, refund.request_id)
    canceled = await world.antom.cancel(world.account, request.request_id, CALL)

    assert first.verdict is again.verdict is found.verdict is news.verdict is Verdict.SUCCEEDED
    assert first.reversal_id
    assert first.reversal_id == again.reversal_id == found.reversal_id
    assert (other.verdict, other.evidence) == (Verdict.UNKNOWN, "REPEAT_REQ_INCONSISTENT")
    assert (rest.verdict, rest.evidence) == (Verdict.DECLINED, "REFUND_AMOUNT_EXCEED")
    assert (canceled.verdict, canceled.evidence) == (Verdict.DECLINED, "PROCESS_FAIL")
    assert (await world.antom.inquire_refund(world.account, "rfd_never", CALL)).verdict is Verdict.NOT_FOUND


async def test_a_refresh_replaces_the_pair_and_may_be_repeated_at_once(world: World) -> None:
    old = await world.authorized()
    assert old.refresh_token is not None
    new = (await world.antom.refresh(world.account, "GCASH", old.refresh_token, CALL)).token
    repeated = (await world.antom.refresh(world.account, "GCASH", old.refresh_token, CALL)).token
    assert new is not None
    spent = await world.antom.charge(world.account, world.debit(old), CALL)
    refused = await world.antom.refresh(world.account, "GCASH", "rt_never", CALL)

    assert new == repeated
    assert (new.access_token, new.refresh_token) != (old.access_token, old.refresh_token)
    assert (await world.antom.charge(world.account, world.debit(new), CALL)).verdict is Verdict.SUCCEEDED
    for answer in (spent, refused):
        assert answer.verdict is Verdict.DECLINED
        assert answer.decline is not None
        assert answer.decline.category is Category.INVALID_CREDENTIAL


async def test_a_wallet_without_refresh_gives_no_refresh_token(world: World) -> None:
    assert (await world.authorized(wallet="ZALOPAY")).refresh_token is None


async def test_a_wrong_code_is_refused(world: World) -> None:
    got = await world.antom.exchange(world.account, "GCASH", "ac_never", CALL)

    assert got.verdict is Verdict.DECLINED
    assert got.decline is not None
    assert got.decline.category is Category.INVALID_CREDENTIAL


async def test_revoke_ends_the_token_and_may_be_repeated(world: World) -> None:
    token = await world.authorized()
    for _ in range(2):
        assert (await world.antom.revoke(world.account, token.access_token, CALL)).verdict is Verdict.SUCCEEDED
    news = await world.told(NewsKind.TOKEN_CANCELED, token.access_token)
    got = await world.antom.charge(world.account, world.debit(token), CALL)

    assert news.reason
    assert got.verdict is Verdict.DECLINED
    assert got.decline is not None
    assert got.decline.category is Category.INVALID_CREDENTIAL


async def test_an_id_used_again_for_another_amount_is_unknown_until_inquired(world: World) -> None:
    request = world.debit(await world.authorized())
    await world.antom.charge(world.account, request, CALL)
    twice = await world.antom.charge(world.account, replace(request, amount=Money(currency="PHP", value=100)), CALL)
    found = await world.antom.inquire(world.account, request.request_id, CALL)

    assert (twice.verdict, twice.evidence) == (Verdict.UNKNOWN, "REPEAT_REQ_INCONSISTENT")
    assert (found.verdict, found.amount) == (Verdict.SUCCEEDED, AMOUNT)


async def test_a_key_antom_does_not_know_changes_nothing(world: World) -> None:
    token = await world.authorized()
    wrong = replace(world.account, keys={**world.account.keys, "private_key": private_text(FORGER_KEY)})
    charged = await world.antom.charge(wrong, world.debit(token), CALL)
    revoked = await world.antom.revoke(wrong, token.access_token, CALL)

    assert (charged.verdict, charged.evidence) == (Verdict.UNKNOWN, "unsigned:INVALID_SIGNATURE")
    assert revoked.verdict is Verdict.UNKNOWN
