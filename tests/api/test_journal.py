"""The journal of providers' messages: what was left is taken up, people see what is wrong, and replay what was
refused.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select
from temporalio.client import Client
from typer.testing import CliRunner

from activities import chores
from agreements.status import AttemptStatus
from api import inbox, replay
from api.services import Services
from cli.main import app as command_line
from gateways.antom import signing
from settings import Settings
from store import merchants, retention
from store.database import Database
from store.retention import Kept
from store.tables import GatewayAccount, Notification
from store.vault import Vault
from tests.api.conftest import Shop
from tests.api.test_provider_news import (
    SENT_AT,
    authorized,
    journal_of,
    notify,
    paid,
    renewed_state,
    told,
    with_attempt,
)
from tests.gateways.antom_fixtures import ANTOM_KEY, CLIENT_ID, FORGER_KEY, MERCHANT_KEY, private_text, public_text

LATER = timedelta(minutes=5)


@pytest.fixture
def inside(app: Any) -> Services:
    services: Services = app.state.services
    return services


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "AUTODEBIT_DATABASE_URL": settings.database_url,
        "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "AUTODEBIT_PUBLIC_URL": settings.public_url,
        "AUTODEBIT_VAULT_KEYS": ",".join(key.get_secret_value() for key in settings.vault_keys),
        "AUTODEBIT_VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
    }


async def run(environment: dict[str, str], *words: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    result = await asyncio.to_thread(CliRunner().invoke, command_line, ["notifications", *words], env=environment)
    return result.exit_code, result.output


async def journalled(inside: Services, shop: Shop, message: dict[str, Any], key: Any = ANTOM_KEY) -> str:
    """A message of which an API process got no further than writing it down."""
    path, content = f"/notifications/antom/{shop.account}", json.dumps(message).encode()
    signature = signing.sign(key, "POST", path, CLIENT_ID, SENT_AT, content)
    headers = {"client-id": CLIENT_ID, "request-time": SENT_AT, "signature": signature}
    async with inside.database.transaction() as session:
        account = await session.get_one(GatewayAccount, shop.account)
    kept = inbox.message("POST", path, headers, content, {})
    return await inbox.journalled(inside, account, "notification", kept)


async def sweep(inside: Services, now: datetime) -> None:
    async def take_up(notification_id: str) -> None:
        await replay.take_up(inside, notification_id)

    await chores.taking_up(inside.database, take_up)(now)


async def row_of(database: Database, notification_id: str) -> Notification:
    async with database.transaction() as session:
        return await session.get_one(Notification, notification_id)


async def test_what_the_api_died_over_is_verified_and_told_by_the_next_sweep(
    shop: Shop, inside: Services, database: Database, vault: Vault, temporal: Client
) -> None:
    agreement_id, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    good = await journalled(inside, shop, paid(request_id))
    forged = await journalled(inside, shop, paid(request_id), key=FORGER_KEY)
    state = await renewed_state(database, vault, agreement_id)
    async with database.transaction() as session:
        account = await session.get_one(GatewayAccount, shop.account)
    back = inbox.message("GET", f"/returns/antom/{state}", {}, b"", {"authCode": "ac_1", "authState": state})
    returned = await inbox.journalled(inside, account, "return", back)
    astray = await inbox.journalled(inside, account, "return", back.model_copy(update={"path": "/returns/antom/other"}))
    async with database.transaction() as session:
        broken = await session.get_one(Notification, forged)
        session.add(Notification(**broken.model_dump(exclude={"id", "sealed_message"}), id="ntf_0", sealed_message="x"))

    await sweep(inside, datetime.now(UTC))
    assert (await row_of(database, good)).status == "received", "whoever got it may still be at it"
    await sweep(inside, datetime.now(UTC) + LATER)
    rows = [await row_of(database, id_) for id_ in (good, forged, returned, astray)]
    assert [row.status for row in rows] == ["signalled", "refused", "signalled", "refused"]
    assert [row.detail for row in rows] == [None, "bad_signature", None, "wrong_state"]
    assert sorted(await told(temporal, agreement_id)) == sorted([good, returned])
    assert (await row_of(database, "ntf_0")).status == "received", "nobody can open it, and it held up no other"
    async with database.transaction() as session:
        await session.delete(await session.get_one(Notification, "ntf_0"))


async def test_a_message_taken_in_by_ten_at_once_is_still_the_one_that_counts(
    shop: Shop, inside: Services, database: Database
) -> None:
    _, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    once = await journalled(inside, shop, paid(request_id))
    again = await journalled(inside, shop, paid(request_id))
    await asyncio.gather(*(replay.take_up(inside, once) for _ in range(10)))
    await replay.take_up(inside, again)
    assert [(await row_of(database, id_)).status for id_ in (once, again)] == ["signalled", "duplicate"]
    async with database.transaction() as session:
        (await session.get_one(Notification, once)).status = "settled"
    for id_ in (once, again):
        await replay.take_up(inside, id_)
    assert [(await row_of(database, id_)).status for id_ in (once, again)] == ["settled", "duplicate"]


async def test_messages_refused_for_a_wrong_key_are_replayed_once_it_is_right(
    shop: Shop, database: Database, vault: Vault, temporal: Client, environment: dict[str, str]
) -> None:
    agreement_id, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    await connect(database, vault, shop, key=FORGER_KEY)
    assert (await notify(shop, paid(request_id))).status_code == 401
    (row,) = await journal_of(database, shop)
    code, listed = await run(environment, "list", "--json", "--limit", "500")
    (mine,) = [each for each in json.loads(listed) if each["account"] == shop.account]
    assert (code, mine["id"], mine["status"], mine["agreement"]) == (0, row.id, "refused", None)
    assert mine["why"] == "its signature is not the provider's: forged, or the account's keys are wrong"
    assert (await run(environment, "replay", row.id))[0] == 1

    await connect(database, vault, shop, key=ANTOM_KEY)
    code, replayed = await run(environment, "replay", row.id, "--json")
    assert (code, json.loads(replayed)[0]["status"]) == (0, "signalled")
    assert set(await told(temporal, agreement_id)) == {row.id}
    assert (await run(environment, "replay", row.id))[0] == 0
    assert [found.status for found in await journal_of(database, shop)] == ["signalled"]
    code, trail = await audit(environment, agreement_id)
    assert "notifications replay" in trail


async def test_a_message_that_came_before_what_it_is_about(
    shop: Shop, database: Database, environment: dict[str, str]
) -> None:
    assert (await notify(shop, paid("att_not_yet"))).status_code == 200
    (row,) = await journal_of(database, shop)
    code, shown = await run(environment, "show", row.id)
    assert code == 0
    assert "the account has nothing it could be about: att_not_yet" in shown
    assert "paymentAmount" not in shown
    assert "paymentAmount" in (await run(environment, "show", row.id, "--message"))[1]
    code, said = await run(environment, "replay", row.id, "ntf_nope")
    assert code == 1
    assert "there is no message ntf_nope in the journal" in said
    assert (await run(environment, "show", "ntf_nope"))[0] == 1
    assert (await run(environment, "replay"))[0] == 2
    assert (await run(environment, "replay", row.id, "--status", "unmatched"))[0] == 2


async def test_one_account_can_be_singled_out_and_a_list_that_is_cut_says_so(
    shop: Shop, live_shop: Shop, database: Database, environment: dict[str, str]
) -> None:
    for number in range(2):
        await notify(shop, paid(f"att_{number}"))
    await notify(shop, paid("att_0"), key=FORGER_KEY)
    await notify(live_shop, paid("att_0"))
    ours = [row.id for row in await journal_of(database, shop)]
    code, cut = await run(environment, "list", "--account", shop.account, "--limit", "1")
    assert (code, ours[-1] in cut, ours[0] in cut) == (0, True, False)
    assert "In all: 1 refused, 2 unmatched" in cut
    whole = (await run(environment, "list", "--account", shop.account, "--limit", "3"))[1]
    assert all(id_ in whole for id_ in ours)
    assert "In all" not in whole
    code, replayed = await run(environment, "replay", "--status", "unmatched", "--account", shop.account, "--json")
    assert (code, [row["id"] for row in json.loads(replayed)]) == (1, ours[:2])
    assert (await run(environment, "replay", ours[0], "--account", shop.account))[0] == 2
    assert (await run(environment, "replay", "ntf_nope"))[1] == "there is no message ntf_nope in the journal\n"


async def test_the_list_shows_what_is_stuck_and_not_what_is_on_its_way(
    shop: Shop, inside: Services, database: Database, environment: dict[str, str]
) -> None:
    _, request_id = await with_attempt(database, shop, AttemptStatus.UNKNOWN)
    stuck = await journalled(inside, shop, paid(request_id))
    async with database.transaction() as session:
        (await session.get_one(Notification, stuck)).created_at -= timedelta(minutes=2)
    fresh = await journalled(inside, shop, paid(request_id))
    listed = (await run(environment, "list", "--limit", "500"))[1]
    assert stuck in listed
    assert fresh not in listed
    assert fresh in (await run(environment, "list", "--all", "--limit", "500"))[1]


async def test_the_journal_forgets_what_was_dealt_with_first(
    shop: Shop, inside: Services, database: Database, vault: Vault
) -> None:
    statuses = ("received", "signalled", "settled", "ignored", "duplicate", "refused", "unmatched")
    for status in statuses:
        id_ = await journalled(inside, shop, authorized(status))
        async with database.transaction() as session:
            (await session.get_one(Notification, id_)).status = status
    kept = Kept(timedelta(days=30), timedelta(days=90), timedelta(days=400))

    async def left(days: float) -> set[str]:
        """After a purge so many days from now, which is taken back: other tests' rows are in the same journal."""
        query = select(Notification.status).where(Notification.account_id == shop.account)
        async with database.transaction() as session:
            await retention.purge(session, kept, datetime.now(UTC) + timedelta(days=days))
            found = set(await session.exec(query))
            await session.rollback()
        return found

    assert await left(89) == set(statuses)
    assert await left(91) == {"received", "signalled", "refused", "unmatched"}
    assert await left(401) == {"received", "signalled"}


async def connect(database: Database, vault: Vault, shop: Shop, key: Any) -> None:
    """Connects the merchant's account anew, with this as the provider's key."""
    keys = {"client_id": CLIENT_ID, "private_key": private_text(MERCHANT_KEY), "public_key": public_text(key)}
    async with database.transaction() as session:
        await merchants.connect_account(
            session, vault, shop.principal, gateway="antom", base_url="https://antom.example", keys=keys
        )


async def audit(environment: dict[str, str], agreement_id: str) -> tuple[int, str]:
    words = ["audit-trail", "--agreement", agreement_id, "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, command_line, words, env=environment)
    return result.exit_code, result.output
