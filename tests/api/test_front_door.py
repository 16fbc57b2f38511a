"""What every answer carries, and what is refused before anybody looks at it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from settings import Settings
from store.database import Database
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, assert_problem, body
from tests.sandbox.support import serving


def assert_guarded(answer: httpx.Response) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in answer.headers["cache-control"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/agreements", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/problems/not_found", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/healthz", 200),
        ("GET", "/portal/nobodys", 404),
        ("GET", "/card-changes/nobodys", 404),
        ("PUT", "/v1/agreements", 405),
        ("POST", "/v1/agreements", 400),
        ("GET", "/v1/agreements?limit=0", 422),
    ],
)
async def test_every_answer_has_headers_that_browsers_heed(shop: Shop, method: str, path: str, status: int) -> None:
    answer = await shop.http.request(method, path, headers=shop.bearer, json=body() if method == "POST" else None)
    assert answer.status_code == status, answer.text
    assert_guarded(answer)


async def test_a_failure_of_ours_has_them_too(
    settings: Settings, vault: Vault, temporal: Client, database: Database
) -> None:
    app = create_app(settings, database, vault, temporal, QUICK)

    async def broken() -> None:
        raise LookupError("sk_test_secret")

    app.add_api_route("/broken", broken)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://pay.example") as http:
        answer = await http.get("/broken")
    assert_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert_guarded(answer)


async def test_over_plain_http_browsers_are_not_bound_to_tls(
    settings: Settings, vault: Vault, temporal: Client, database: Database
) -> None:
    app = create_app(
        settings.model_copy(update={"public_url": "http://127.0.0.1:8000"}), database, vault, temporal, QUICK
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
        assert "strict-transport-security" not in (await http.get("/healthz")).headers


@pytest.mark.parametrize("path", ["/v1/agreements", "/v1/agreements/agr_nope", "/healthz", "/docs", "/v1/nowhere"])
async def test_head_is_get_without_the_body(shop: Shop, path: str) -> None:
    shown, asked = [await shop.http.request(method, path, headers=shop.bearer) for method in ("GET", "HEAD")]
    assert (asked.status_code, asked.content) == (shown.status_code, b"")
    named = ("content-type", "content-length", "content-security-policy")
    assert [asked.headers[name] for name in named] == [shown.headers[name] for name in named]


async def test_a_head_changes_nothing_and_customers_pages_take_none(shop: Shop) -> None:
    answer = await shop.http.head("/v1/agreements/agr_nope/pause", headers=shop.bearer)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await shop.http.head("/portal/nobody")).status_code == 405
    allowed = (await shop.http.options("/v1/agreements", headers=shop.bearer)).headers["allow"]
    assert allowed == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/xml, text/*;q=0.5", "application/json;q=0", "application/json;q=0, */*", "*/*;q=0.0"],
)
async def test_a_caller_that_takes_no_json_is_told_that_there_is_nothing_else(shop: Shop, accept: str) -> None:
    answer = await shop.http.get("/v1/agreements", headers=shop.bearer | {"Accept": accept})
    assert_problem(answer, 406, "not_acceptable")


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "application/*;q=0.1, text/html", "text/html, */*;q=0.8", "APPLICATION/JSON; q=1"],
)
async def test_any_way_to_take_json_will_do(shop: Shop, accept: str) -> None:
    assert (await shop.http.get("/v1/agreements", headers=shop.bearer | {"Accept": accept})).status_code == 200


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with serving(app) as found:
        yield found


@pytest.mark.parametrize("path", ["/v1/agreements", "/notifications/antom/{account}", "/pay/nobodys"])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_refused_declared_or_not(
    shop: Shop, url: str, path: str, declared: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(66):
            yield b" " * 1024

    path = path.format(account=shop.account)
    headers = shop.bearer | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    async with httpx.AsyncClient(trust_env=False) as http:
        content = b" " * 66 * 1024 if declared else chunks()
        answer = await http.post(url + path, content=content, headers=headers)
    assert_problem(answer, 413, "body_too_large")


async def test_a_body_at_the_limit_is_read(shop: Shop) -> None:
    sent = json.dumps(body()).encode()
    sent += b" " * (64 * 1024 - len(sent))
    headers = shop.bearer | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    assert (await shop.http.post("/v1/agreements", content=sent, headers=headers)).status_code == 202
    more = await shop.http.post("/v1/agreements", content=sent + b" ", headers=headers)
    assert_problem(more, 413, "body_too_large")
