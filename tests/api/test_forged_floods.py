"""What comes without a key and is nobody's: kept up to a limit, then refused, while all that is genuine goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from agreements.status import AttemptStatus
from api.app import create_app
from api.limits import Limits, Quota
from gateways.antom.notifications import ACKNOWLEDGED
from settings import Settings
from store.database import Database
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, assert_problem, open_shop
from tests.api.customers import link, running
from tests.api.test_limits import SECOND, Watch
from tests.api.test_provider_news import journal_of, notify, paid, renewed_state, signed, with_attempt
from tests.gateways.antom_fixtures import FORGER_KEY

LIMIT = 3
PER_PLACE = 60 // LIMIT
"""Seconds until there is room for one more."""

Sender = Callable[..., Shop]


@pytest.fixture(scope="module")
def process(settings: Settings, database: Database, vault: Vault, temporal: Client) -> FastAPI:
    return create_app(settings, database, vault, temporal, QUICK)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def sender(process: FastAPI, settings: Settings, watch: Watch) -> Sender:
    """A shop's account as it is written to from an address, at a process that has seen nothing yet."""
    limits = Limits(settings.model_copy(update={"failed_authentication_limit": LIMIT}), watch)
    process.state.services = replace(process.state.services, limits=limits)

    def at(shop: Shop, ip: str = "192.0.2.1", proxies: list[str] | None = None) -> Shop:
        outermost = ProxyHeadersMiddleware(process, proxies) if proxies else process  # type: ignore[arg-type]
        transport = httpx.ASGITransport(outermost, client=(ip, 1))  # type: ignore[arg-type]
        return replace(shop, http=httpx.AsyncClient(transport=transport, base_url="https://pay.example"))

    return at


async def forged(shop: Shop) -> int:
    return (await notify(shop, paid("att_1"), key=FORGER_KEY)).status_code


async def kept(database: Database, shop: Shop) -> list[str]:
    return [row.status for row in await journal_of(database, shop)]


async def test_forgeries_beyond_the_limit_are_not_kept_while_what_is_genuine_passes(
    shop: Shop, sender: Sender, database: Database, watch: Watch
) -> None:
    _, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    here = sender(shop)
    assert [await forged(here) for _ in range(LIMIT)] == [401] * LIMIT
    for message, options in ((paid("att_1"), {"key": FORGER_KEY}), ({"no": "result"}, {})):
        refused = await notify(here, message, **options)
        assert_problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == str(PER_PLACE)
        assert refused.headers["ratelimit-policy"] == f'"in-vain";q={LIMIT};w=60'
    assert await asyncio.gather(*(forged(here) for _ in range(20))) == [429] * 20
    assert await kept(database, shop) == ["refused"] * LIMIT

    genuine = await asyncio.gather(*(notify(here, paid(request_id)) for _ in range(2 * LIMIT)))
    assert [answer.content for answer in genuine] == [ACKNOWLEDGED] * (2 * LIMIT)
    assert sorted(await kept(database, shop)) == ["duplicate"] * (2 * LIMIT - 1) + ["refused"] * LIMIT + ["signalled"]

    watch.now += PER_PLACE * SECOND
    assert [await forged(here), await forged(here)] == [401, 429]


async def test_a_crowd_at_one_instant_finds_no_more_room_than_a_queue(
    shop: Shop, sender: Sender, database: Database
) -> None:
    here = sender(shop)
    answers = await asyncio.gather(*(forged(here) for _ in range(30)))
    assert (answers.count(401), answers.count(429)) == (LIMIT, 30 - LIMIT)
    assert await kept(database, shop) == ["refused"] * LIMIT


async def test_what_is_genuine_takes_no_room_however_much_it_is(shop: Shop, sender: Sender, database: Database) -> None:
    here = sender(shop)
    for _ in range(3 * LIMIT):
        assert (await notify(here, paid("att_1"))).content == ACKNOWLEDGED
    assert [await forged(here) for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]


async def test_an_account_has_a_limit_whatever_the_addresses_and_an_address_whatever_the_accounts(
    shop: Shop, sender: Sender, database: Database, vault: Vault
) -> None:
    answers = [await forged(sender(shop, f"192.0.2.{n}")) for n in range(LIMIT + 1)]
    assert answers == [401] * LIMIT + [429]
    others = [await open_shop(database, vault, shop.http, livemode=False) for _ in range(LIMIT)]
    answers = [await forged(sender(other, "192.0.2.0")) for other in others]
    assert answers == [401] * (LIMIT - 1) + [429], "the first address has tried the first account already"
    last = others[-1]
    assert [await forged(sender(last, "192.0.2.0")) for _ in range(LIMIT)] == [429] * LIMIT
    answers = [await forged(sender(last, f"192.0.2.{200 + n}")) for n in range(LIMIT)]
    assert answers == [401] * LIMIT, "what is not kept takes no room of its account"


async def test_an_address_is_what_trusted_proxies_say_and_nobody_else(shop: Shop, sender: Sender) -> None:
    async def claimed(number: int, proxies: list[str] | None) -> int:
        sent = signed(shop, paid("att_1"), key=FORGER_KEY)
        sent["url"] = "/notifications/antom/gwa_nope"
        sent["headers"] |= {"X-Forwarded-For": f"198.51.100.{number}"}
        return (await sender(shop, "10.0.0.1", proxies).http.post(**sent)).status_code

    assert [await claimed(n, ["10.0.0.1"]) for n in range(2 * LIMIT)] == [404] * (2 * LIMIT)
    assert [await claimed(n, None) for n in range(LIMIT + 1)] == [404] * LIMIT + [429]


async def test_links_that_lead_nowhere_are_limited_and_those_that_lead_somewhere_are_not(
    shop: Shop, sender: Sender, database: Database, vault: Vault
) -> None:
    agreement_id = await running(database, vault, shop)
    portal, state = await link(shop, agreement_id), await renewed_state(database, vault, agreement_id)
    for number, path in enumerate(("/returns/antom", "/portal", "/card-changes", "/pay")):
        http = sender(shop, f"198.51.100.{number}").http
        page = {"accept": "text/html"}
        guesses = [(await http.get(f"{path}/guess{n}", headers=page)).status_code for n in range(LIMIT + 1)]
        assert guesses == [404] * LIMIT + [429], path
        assert_problem(await http.get(f"{path}/guess"), 429, "rate_limited")
        assert (await http.get(portal)).status_code == 200
        assert (await http.get(f"/returns/antom/{state}")).status_code == 303


async def test_a_return_that_is_repeated_without_end_leads_on_and_is_kept_a_few_times(
    shop: Shop, sender: Sender, database: Database, vault: Vault
) -> None:
    state = await renewed_state(database, vault, (await shop.create())["id"])
    http = sender(shop).http
    for number in range(LIMIT + 2):
        answer = await http.get(f"/returns/antom/{state}", params={"authCode": f"ac_{number}", "authState": state})
        assert answer.status_code == 303
    assert len(await kept(database, shop)) == LIMIT


@given(taken=st.integers(0, 60), returned=st.integers(1, 100), wait=st.integers(0, 30 * SECOND))
def test_what_is_given_back_at_once_was_never_taken(taken: int, returned: int, wait: int) -> None:
    watch = Watch()
    quota, other = Quota("test", 60, 60, watch), Quota("test", 60, 60, watch)
    for _ in range(taken):
        assert quota.take("caller")[0] == other.take("caller")[0]
    watch.now += wait
    for _ in range(returned):
        if quota.take("caller")[0]:
            quota.give_back("caller")
    assert quota.left("caller") == other.left("caller")
    watch.now += 3600 * SECOND
    quota.give_back("caller")
    whole = quota.left("caller")
    assert whole is not None
    assert whole.requests == 60
