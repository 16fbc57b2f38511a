"""How often a key may call, and an address may fail to show one: counted, told, refused, and grown back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client

from api.app import create_app
from api.limits import Left, Limits, Quota
from settings import Settings
from store import api_keys
from store.database import Database
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, assert_problem

SECOND = 10**9
Door = Callable[..., httpx.AsyncClient]


class Watch:
    """Stands still, however slow the machine is, until it is moved."""

    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def door(settings: Settings, database: Database, vault: Vault, temporal: Client, watch: Watch) -> Door:
    """An API process of its own with other limits; `ip` is where its caller seems to be."""

    def opened(ip: str = "192.0.2.1", using: Database = database, **limits: int) -> httpx.AsyncClient:
        own = settings.model_copy(update=limits)
        app = create_app(own, using, vault, temporal, QUICK)
        app.state.services = replace(app.state.services, limits=Limits(own, watch))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(ip, 1)), base_url="https://pay.example")

    return opened


async def test_a_key_that_calls_too_often_is_told_when_to_come_back(
    shop: Shop, live_shop: Shop, door: Door, watch: Watch
) -> None:
    async with door(rate_limit_test=1) as http:  # ten at once, then one a second
        answers = [await http.get("/v1/payment-methods", headers=shop.bearer) for _ in range(10)]
        assert [answer.status_code for answer in answers] == [200] * 10
        assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"test";q=10;w=10'] * 10
        assert [answer.headers["ratelimit"] for answer in answers] == [f'"test";r={9 - n};t=1' for n in range(10)]
        refused = await http.get("/v1/payment-methods", headers=shop.bearer)
        assert_problem(refused, 429, "rate_limited")
        assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("1", '"test";r=0;t=1')
        watch.now += SECOND
        assert (await http.get("/v1/payment-methods", headers=shop.bearer)).status_code == 200
        assert_problem(await http.get("/v1/payment-methods", headers=shop.bearer), 429, "rate_limited")
        other = await http.get("/v1/payment-methods", headers=live_shop.bearer)
        assert (other.status_code, other.headers["ratelimit-policy"]) == (200, '"live";q=1000;w=10')


async def test_a_call_over_the_limit_asks_the_database_nothing(shop: Shop, settings: Settings, door: Door) -> None:
    own = Database(settings.database_url, 1)
    async with door(using=own, rate_limit_test=1) as http:
        for _ in range(10):
            assert (await http.get("/v1/agreements", headers=shop.bearer)).is_success
        async with own.transaction() as session:
            await session.connection()  # the only one there is
            assert_problem(await http.get("/v1/agreements", headers=shop.bearer), 429, "rate_limited")
    await own.close()


async def test_limits_can_be_switched_off(shop: Shop, door: Door) -> None:
    async with door(rate_limit_test=0, failed_authentication_limit=0) as http:
        answers = [await http.get("/v1/payment-methods", headers=shop.bearer) for _ in range(30)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers
        assert "ratelimit-policy" not in answers[0].headers
        assert (await http.get("/v1/payment-methods")).status_code == 401


@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer sk_test_guess"}])
async def test_an_address_that_shows_no_key_too_often_has_to_wait(shop: Shop, door: Door, sent: dict[str, str]) -> None:
    async with door(failed_authentication_limit=3) as http:
        known = await http.get("/v1/payment-methods", headers=shop.bearer)
        assert known.status_code == 200
        for _ in range(3):
            assert_problem(await http.get("/v1/payment-methods", headers=sent), 401, "unauthorized")
        refused = await http.get("/v1/payment-methods", headers=sent)
        assert_problem(refused, 429, "rate_limited")
        assert refused.headers["ratelimit-policy"] == '"failed-authentications";q=3;w=60'
        assert refused.headers["retry-after"] == "20"
        # Whoever shares the address and has a key that worked is not locked out with them.
        assert (await http.get("/v1/payment-methods", headers=shop.bearer)).status_code == 200


async def test_a_key_that_has_ended_counts_as_a_failure(shop: Shop, door: Door, database: Database) -> None:
    async with door(failed_authentication_limit=1) as http:
        assert (await http.get("/v1/payment-methods", headers=shop.bearer)).status_code == 200
        async with database.transaction() as session:
            await api_keys.disable_merchant(session, shop.principal.merchant_id, datetime.now(UTC))
        assert_problem(await http.get("/v1/payment-methods", headers=shop.bearer), 401, "unauthorized")
        assert_problem(await http.get("/v1/payment-methods", headers=shop.bearer), 429, "rate_limited")


@asynccontextmanager
async def _two_addresses(door: Door, one: str, other: str) -> AsyncIterator[tuple[int, int]]:
    async with door(one, failed_authentication_limit=1) as http:
        app = http._transport.app  # type: ignore[attr-defined]
        for _ in range(2):
            first = await http.get("/v1/payment-methods")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=(other, 1)), base_url="https://pay.example"
        ) as http_of_other:
            second = await http_of_other.get("/v1/payment-methods")
        yield first.status_code, second.status_code


@pytest.mark.parametrize(
    ("one", "other", "statuses"),
    [
        ("192.0.2.1", "192.0.2.2", (429, 401)),
        ("2001:db8::1", "2001:db8::ffff:2", (429, 429)),  # one caller's /64
        ("2001:db8::1", "2001:db8:0:1::1", (429, 401)),
    ],
)
async def test_failures_count_for_an_address_or_a_network_of_one_caller(
    door: Door, one: str, other: str, statuses: tuple[int, int]
) -> None:
    async with _two_addresses(door, one, other) as found:
        assert found == statuses


@hypothesis.settings(deadline=None)
@given(
    requests=st.integers(1, 50),
    window=st.integers(1, 60),
    waits=st.lists(st.integers(0, 3 * SECOND), max_size=60),
)
def test_no_window_sees_more_than_its_quota_and_what_grows_back(requests: int, window: int, waits: list[int]) -> None:
    """A token bucket: in any stretch of time at most the quota, and what grew back while it lasted."""
    now = 0
    quota = Quota("test", requests, window, lambda: now)
    granted: list[int] = []
    for wait in waits:
        now += wait
        before = quota.left("caller")
        taken, left = quota.take("caller")
        assert isinstance(before, Left)
        assert isinstance(left, Left)
        assert taken == (before.requests > 0)
        assert 0 <= left.requests <= requests
        if taken:
            granted.append(now)
    each = window * SECOND // requests
    for first, start in enumerate(granted):
        for last, end in enumerate(granted[first:], first):
            assert last - first + 1 <= requests + (end - start) // each


@hypothesis.settings(deadline=None)
@given(requests=st.integers(1, 50), window=st.integers(1, 60), burst=st.integers(1, 60))
def test_whoever_waits_as_told_is_served(requests: int, window: int, burst: int) -> None:
    now = 0
    quota = Quota("test", requests, window, lambda: now)
    for _ in range(requests):
        assert quota.take("caller")[0]
    for _ in range(burst):
        taken, left = quota.take("caller")
        assert not taken
        assert left is not None
        now += left.seconds * SECOND
        assert quota.take("caller")[0]
        while quota.take("caller")[0]:
            pass
    assert quota.take("somebody else")[0]


def test_each_page_takes_five_cards_and_another_one_every_twelve_minutes(settings: Settings, watch: Watch) -> None:
    limits = Limits(settings, watch)
    assert [limits.may_try_card("one") for _ in range(6)] == [True] * 5 + [False]
    assert limits.may_try_card("other")
    watch.now += 12 * 60 * SECOND
    assert [limits.may_try_card("one") for _ in range(2)] == [True, False]
