"""What a customer has on file over HTTP: listed, used again, and never deleted under an agreement's feet."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from agreements.status import AgreementStatus, AttemptStatus
from store import releases
from store.changes import change
from store.database import Database
from store.ids import new
from store.tables import Agreement, Attempt, Charge, Credential, IdempotencyKey
from store.vault import Vault
from tests.api.conftest import Shop, activate, assert_problem, body, open_shop

FILE = "/v1/customers/cus-7/credentials"


async def given(
    shop: Shop, database: Database, vault: Vault, *, ended: bool = False, **changes: Any
) -> tuple[str, str]:
    """An agreement, and the credential its customer gave for it."""
    agreement_id = (await shop.create(reference=new("ref"), **changes))["id"]
    await activate(database, vault, agreement_id, token=f"at_{agreement_id}")
    if ended:
        async with change(database, agreement_id) as locked:
            locked.agreement.ended = AgreementStatus.COMPLETED
    return agreement_id, f"crd_{agreement_id[4:]}"


def again(credential: str, **changes: Any) -> dict[str, Any]:
    return body(reference=new("ref"), payment_method={"type": "GCASH", "credential": credential}, **changes)


async def delete(shop: Shop, credential: str, customer: str = "cus-7") -> httpx.Response:
    return await shop.http.delete(f"/v1/customers/{customer}/credentials/{credential}", headers=shop.bearer)


async def test_a_customers_credentials_are_listed_newest_first_and_nobody_elses(
    shop: Shop, live_shop: Shop, database: Database, vault: Vault
) -> None:
    made = [await given(shop, database, vault) for _ in range(3)]
    await given(shop, database, vault, customer={"id": "cus-8"})
    first = (await shop.get(FILE, limit=2)).json()
    rest = (await shop.get(FILE, cursor=first["next_cursor"])).json()
    assert [row["id"] for row in first["data"] + rest["data"]] == [credential for _, credential in reversed(made)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    agreement, credential = made[0]
    shown = rest["data"][0]
    assert (shown["gateway"], shown["payment_method"]) == ("antom", {"type": "GCASH"})
    assert (shown["locked"], shown["agreements"], shown["warnings"], shown["marks"]) == (True, [agreement], [], [])
    assert not {"sealed_access_token", "token_hash", "fingerprint", "network_transaction_id"} & set(shown)
    assert (await live_shop.get(FILE)).json()["data"] == []
    for answer in (await delete(live_shop, credential), await delete(shop, credential, "cus-8")):
        assert_problem(answer, 404, "not_found")
    assert_problem(await delete(shop, "crd_nonsense"), 404, "not_found")
    assert_problem(await shop.get("/v1/customers/%00/credentials"), 422, "invalid_request")


async def test_a_customer_whose_id_has_slashes_is_found(shop: Shop, database: Database, vault: Vault) -> None:
    _, credential = await given(shop, database, vault, ended=True, customer={"id": "org/7/credentials"})
    path = f"/v1/customers/{quote('org/7/credentials', safe='')}/credentials"
    assert [row["id"] for row in (await shop.get(path)).json()["data"]] == [credential]
    assert (await shop.http.delete(f"{path}/{credential}", headers=shop.bearer)).status_code == 204
    assert (await shop.get(path)).json()["data"] == []


async def test_marks_and_expiry_of_a_card_are_told_with_what_they_mean(
    shop: Shop, database: Database, vault: Vault
) -> None:
    """The agreement's last debit of 12 falls in 2056; the list knows no terms, so it says what is true of the card."""
    agreement, credential = await given(shop, database, vault)
    async with database.transaction() as session:
        row = await session.get_one(Credential, credential)
        row.network, row.marks, row.expiry_month, row.expiry_year = "mastercard", ["prepaid"], 11, 2055
    [listed] = (await shop.get(FILE)).json()["data"]
    assert (listed["network"], [each["code"] for each in listed["warnings"]]) == ("mastercard", ["prepaid"])
    shown = (await shop.get(f"/v1/agreements/{agreement}")).json()["credential"]
    assert [each["code"] for each in shown["warnings"]] == ["prepaid", "expires_before_last_debit"]


@pytest.mark.parametrize(
    "wrong", ["unknown", "another customer's", "another merchant's", "method", "released", "deleted"]
)
async def test_only_a_good_credential_of_the_same_customer_is_used_again(
    shop: Shop, database: Database, vault: Vault, http: httpx.AsyncClient, wrong: str
) -> None:
    _, credential = await given(shop, database, vault, ended=True)
    asked, caller = again(credential), shop
    if wrong == "unknown":
        asked = again(new("crd"))
    elif wrong == "another customer's":
        asked = again(credential, customer={"id": "cus-8"})
    elif wrong == "another merchant's":
        caller = await open_shop(database, vault, http, livemode=False)
    elif wrong == "method":
        asked["payment_method"]["type"] = "MAYA"
    elif wrong == "deleted":
        assert (await delete(shop, credential)).status_code == 204
    else:
        async with database.transaction() as session:
            (await session.get_one(Credential, credential)).status = wrong
    assert_problem(await caller.post("/v1/agreements", asked), 422, "invalid_request", "/payment_method/credential")
    assert (await caller.get("/v1/agreements", reference=asked["reference"])).json()["data"] == []


async def test_an_agreement_begins_at_once_with_what_is_on_file(shop: Shop, database: Database, vault: Vault) -> None:
    _, credential = await given(shop, database, vault, ended=True)
    answer = await shop.post("/v1/agreements", asked := again(credential), key="again")
    made = answer.json()
    assert (answer.status_code, made["status"], made["authorization"]) == (201, "active", None)
    assert made["next_charge_at"] == "2055-01-31T01:00:00Z"
    assert made["credential"]["id"] == credential
    repeated = await shop.post("/v1/agreements", asked, key="again")
    assert (repeated.status_code, repeated.json()) == (201, made)


async def test_a_credential_with_a_debit_in_flight_waits_for_its_end(
    shop: Shop, database: Database, vault: Vault
) -> None:
    """The agreement has ended, but what became of its last debit is found out first."""
    agreement, credential = await given(shop, database, vault)
    async with change(database, agreement) as locked:
        locked.agreement.ended = AgreementStatus.COMPLETED
        charge = Charge.model_validate(
            {
                "id": new("chg"),
                "agreement_id": agreement,
                "merchant_id": shop.principal.merchant_id,
                "livemode": False,
                "purpose": "on_demand",
                "status": "unknown",
                "currency": "PHP",
                "amount": 100,
                "due_at": locked.now,
                "created_at": locked.now,
            }
        )
        locked.session.add(charge)
        await locked.session.flush()
        attempt = Attempt(
            id=new("att"),
            agreement_id=agreement,
            charge_id=charge.id,
            number=1,
            gateway_request_id=new("req"),
            status=AttemptStatus.UNKNOWN,
            currency="PHP",
            amount=100,
            credential_id=credential,
            prepared_at=locked.now,
        )
        locked.session.add(attempt)
    refused = assert_problem(await delete(shop, credential), 409, "credential_in_use")
    assert refused["agreements"] == [agreement]
    async with database.transaction() as session:
        (await session.get_one(Attempt, attempt.id)).status = AttemptStatus.FAILED
    assert (await delete(shop, credential)).status_code == 204


async def test_a_credential_is_not_deleted_while_an_agreement_is_being_made_with_it(
    shop: Shop, database: Database, vault: Vault
) -> None:
    """The agreement was checked and is not committed: it waits for somebody else who uses its idempotency key."""
    _, credential = await given(shop, database, vault, ended=True)
    owner: dict[str, Any] = {"merchant_id": shop.principal.merchant_id, "livemode": False}
    async with database.transaction() as session:
        session.add(IdempotencyKey(**owner, key="race", fingerprint="somebody else's"))
        await session.flush()
        creating = asyncio.ensure_future(shop.post("/v1/agreements", again(credential), key="race"))
        await waiting(database, 1, creating)
        deleting = asyncio.ensure_future(delete(shop, credential))
        await waiting(database, 2, deleting)
        await session.rollback()
    made = await creating
    assert made.status_code == 201, made.text
    assert assert_problem(await deleting, 409, "credential_in_use")["agreements"] == [made.json()["id"]]


async def test_no_agreement_is_made_with_a_credential_that_is_being_deleted(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement, credential = await given(shop, database, vault, ended=True)
    async with change(database, agreement) as locked:
        await releases.delete(locked, await locked.session.get_one(Credential, credential))
        creating = asyncio.ensure_future(shop.post("/v1/agreements", again(credential)))
        await waiting(database, 1, creating)
    assert_problem(await creating, 422, "invalid_request", "/payment_method/credential")
    async with database.transaction() as session:
        assert (await session.get_one(Agreement, agreement)).credential_id == credential


async def waiting(database: Database, count: int, call: asyncio.Future[httpx.Response]) -> None:
    """Until so many transactions wait for another; fails if the call ends instead."""
    query = text(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )
    async with asyncio.timeout(30):
        while True:
            async with database.transaction() as session:
                if (await (await session.connection()).execute(query)).scalar_one() >= count:
                    return
            assert not call.done(), "it did not wait"
            await asyncio.sleep(0.02)
