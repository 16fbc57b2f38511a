"""Only a rightly signed answer with HTTP 200 says anything; everything else leaves the outcome unknown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateways.antom import signing
from gateways.antom.connector import Antom
from gateways.http import client
from gateways.port import Call, Verdict
from tests.gateways.antom_fixtures import (
    CALL,
    CHARGE,
    FORGER_KEY,
    MERCHANT_KEY,
    account,
    answer,
    connector,
    result,
)

PAID = json.dumps(result(paymentId="p1", paymentAmount={"currency": "PHP", "value": "49900"})).encode()
PATH = "/ams/sandbox/api/v1/payments/pay"


def _without(name: str) -> httpx.Response:
    response = answer(PATH, PAID)
    del response.headers[name]
    return response


def _altered() -> httpx.Response:
    headers = answer(PATH, PAID).headers
    return httpx.Response(200, headers=headers, content=PAID.replace(b"p1", b"p2"))


def _raising(error: httpx.HTTPError) -> Callable[[httpx.Request], httpx.Response]:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


UNTRUSTED = {
    "unsigned:SUCCESS": lambda _: _without("signature"),
    "unsigned": lambda _: httpx.Response(200, content=b"<html>"),
    "unsigned:INVALID_SIGNATURE": lambda _: httpx.Response(200, json=result("INVALID_SIGNATURE", "F")),
    "wrong_client": lambda _: answer(PATH, PAID, client_id="SANDBOX_other"),
    "bad_signature": lambda _: _altered(),
    "unreadable": lambda _: answer(PATH, b"not json"),
    "http_500": lambda _: httpx.Response(500, headers=answer(PATH, PAID).headers, content=PAID),
    "http_503": lambda _: httpx.Response(503),
    "http_302": lambda _: httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
    "encoded": lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f")),
    "timeout": _raising(httpx.ReadTimeout("")),
    "connection": _raising(httpx.RemoteProtocolError("")),
    "not_connected": _raising(httpx.ConnectError("")),
}


@pytest.mark.parametrize("evidence", UNTRUSTED)
async def test_nothing_untrusted_decides_a_debit(evidence: str) -> None:
    calls: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return UNTRUSTED[evidence](request)

    got = await connector(handler).charge(account(), CHARGE, CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)
    assert got.decline is None
    assert got.payment_id is None
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["signature", "response-time", "client-id"])
async def test_an_answer_without_one_of_its_three_headers_is_not_believed(name: str) -> None:
    got = await connector(lambda _: _without(name)).charge(account(), CHARGE, CALL)

    assert got.verdict is Verdict.UNKNOWN


async def test_an_answer_signed_by_somebody_else_or_for_another_path_is_not_believed() -> None:
    forged = await connector(lambda _: answer(PATH, PAID, key=FORGER_KEY)).charge(account(), CHARGE, CALL)
    moved = await connector(lambda _: answer("/ams/api/v1/payments/pay", PAID)).charge(account(), CHARGE, CALL)

    assert (forged.verdict, forged.evidence) == (Verdict.UNKNOWN, "bad_signature")
    assert (moved.verdict, moved.evidence) == (Verdict.UNKNOWN, "bad_signature")


async def test_unsigned_answers_change_nothing_on_any_call() -> None:
    antom = connector(lambda _: httpx.Response(200, json=result("INVALID_ACCESS_TOKEN", "F")))

    assert (await antom.revoke(account(), "at", CALL)).verdict is Verdict.UNKNOWN
    assert (await antom.inquire(account(), "att_1", CALL)).verdict is Verdict.UNKNOWN
    assert (await antom.cancel(account(), "att_1", CALL)).verdict is Verdict.UNKNOWN
    assert (await antom.refresh(account(), "GCASH", "rt", CALL)).verdict is Verdict.UNKNOWN


async def test_a_server_that_trickles_bytes_is_cut_off_at_the_deadline() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    antom = connector(lambda _: httpx.Response(200, content=trickle()))
    async with asyncio.timeout(60):
        got = await antom.charge(account(), CHARGE, Call(timedelta(milliseconds=100)))

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "timeout")


async def test_a_huge_answer_is_dropped_before_it_fills_the_memory() -> None:
    sent = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b" " * (1 << 16)

    got = await connector(lambda _: httpx.Response(200, content=flood())).charge(account(), CHARGE, CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "too_large")
    assert sent < 1 << 21


async def test_a_caller_who_gives_up_is_not_answered() -> None:
    started = asyncio.Event()

    async def silence() -> AsyncIterator[bytes]:
        started.set()
        await asyncio.sleep(60)
        yield b""

    antom = connector(lambda _: httpx.Response(200, content=silence()))
    task = asyncio.create_task(antom.charge(account(), CHARGE, CALL))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("client_id", "path"), [("SANDBOX_5X1", "/ams/sandbox/api/v1/payments/pay"), ("5X1", "/ams/api/v1/payments/pay")]
)
async def test_the_request_is_signed_for_the_path_that_is_requested(client_id: str, path: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request.url.path, PAID, client_id=client_id)

    for base in ("https://antom.example", "https://antom.example/", "https://proxy.example/antom"):
        at = replace(account(client_id), base_url=base)
        assert (await connector(handler).charge(at, CHARGE, CALL)).verdict is Verdict.SUCCEEDED

    assert [request.url.path for request in seen] == [path, path, f"/antom{path}"]
    for request in seen:
        headers = request.headers
        assert headers["content-type"] == "application/json; charset=UTF-8"
        assert abs(int(headers["request-time"]) / 1000 - datetime.now(UTC).timestamp()) < 60
        signing.verify(
            MERCHANT_KEY.public_key(),
            "POST",
            request.url.path,
            headers["client-id"],
            headers["request-time"],
            request.content,
            headers["signature"],
        )


async def test_the_test_clock_is_told_to_our_sandbox_only() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request.url.path, PAID)

    call = Call(timedelta(seconds=5), "clk_1", datetime(2030, 1, 31, 1, tzinfo=UTC))
    await connector(handler).charge(account(sandbox=True), CHARGE, call)
    await connector(handler).charge(account(sandbox=True), CHARGE, CALL)
    await connector(handler).charge(account(sandbox=False), CHARGE, call)

    assert seen[0].headers["x-sandbox-clock"] == "clk_1"
    assert seen[0].headers["x-sandbox-time"] == "2030-01-31T01:00:00+00:00"
    assert not any(name.startswith("x-sandbox") for request in seen[1:] for name in request.headers)


@pytest.mark.parametrize("broken", [{"private_key": "x"}, {"public_key": "x"}, {"client_id": ""}])
async def test_an_account_with_broken_keys_leaves_the_outcome_unknown(broken: dict[str, str]) -> None:
    antom = connector(lambda request: answer(request.url.path, PAID))

    whole = account()
    got = await antom.charge(replace(whole, keys={**whole.keys, **broken}), CHARGE, CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "account_keys")


@pytest.mark.parametrize("base_url", ["ftp://x", "http://x:port", ""])
async def test_a_broken_base_url_leaves_the_outcome_unknown(base_url: str) -> None:
    async with client() as real:
        got = await Antom(real).charge(replace(account(), base_url=base_url), CHARGE, CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "account_base_url")


async def test_nobody_listening_is_told_apart_from_an_answer_lost_on_the_way() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    at = replace(account(), base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with client() as real:
        lost = await Antom(real).charge(at, CHARGE, CALL)
        server.close()
        await server.wait_closed()
        refused = await Antom(real).charge(at, CHARGE, CALL)

    assert (lost.evidence, refused.evidence) == ("connection", "not_connected")


async def test_no_cookie_travels_from_one_merchant_to_the_next() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        response = answer(request.url.path, PAID)
        response.headers["set-cookie"] = "session=merchant-1; Path=/"
        return response

    antom = connector(handler)
    await antom.charge(account(), CHARGE, CALL)
    await antom.charge(account(), CHARGE, CALL)

    assert "cookie" not in seen[1].headers


def test_the_client_takes_nothing_from_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:8080")
    http = client()

    assert not http.trust_env
    assert not http.follow_redirects
