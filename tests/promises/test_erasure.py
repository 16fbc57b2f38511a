"""A customer is erased as a whole once nothing of theirs is on its way; what was paid stays as it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Response
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from typer.testing import CliRunner

from agreements.deliveries import DeliveryStatus
from cli.main import app as command_line
from store import audit, consents, erasure, journal
from store.actors import Actor
from store.erasure import NotYet
from store.journal import JournalledMessage
from store.merchants import Principal
from store.tables import (
    Authorization,
    CardChange,
    Consent,
    Credential,
    Delivery,
    Event,
    Notification,
    PortalLink,
    TrailEntry,
)
from store.tables.columns import utcnow
from tests.promises.leaks import leaked, rows, unseal
from tests.promises.support import START, until, workflow_closed
from tests.promises.webhook_receiver import a_receiver, an_endpoint
from tests.support.house import House, Shop, agreement_body
from workflows.messages import agreement_workflow_id

ELENA = {"name": "Elena Erasable", "email": "elena@erasable.example", "phone": "+639179999991", "region": "PH"}
SEEN = {"locale": "en-PH", "ip": "198.51.100.201", "user_agent": "Erasable Browser 9"}
NOTES = {"note": "her birthday is erasable"}
PERSON = ["Elena Erasable", "elena@erasable.example", "+639179999991", NOTES["note"]]
REASON = "her request of 2027-03-02"

ON_THEIR_WAY = {
    "has not ended": "update agreements set ended = null, status = 'active' where id = :agreement",
    "still to be told to the provider": """update agreements set revoke_at = now(), next_step_at = now()
        where id = :agreement""",
    "something is left to be done": "update agreements set next_step_at = now() where id = :agreement",
    "a debit that is unknown": "update attempts set status = 'unknown' where agreement_id = :agreement",
    "a refund that is pending": """
        insert into refunds (id, agreement_id, charge_id, attempt_id, kind, request_id, status, currency, amount,
          tries, created_at)
        select 'rfd_by_hand', agreement_id, charge_id, id, 'refund', 'by-hand', 'pending', currency, 1, 0, prepared_at
        from attempts where agreement_id = :agreement limit 1""",
    "a declaration at customs": """
        insert into declarations (id, agreement_id, charge_id, attempt_id, status, currency, amount, customs_code,
          merchant_code, merchant_name, accepted, facts, tries, next_try_at, started, written_at, created_at)
        select 'dcl_by_hand', agreement_id, charge_id, id, 'pending', currency, 1, 'x', 'x', 'x', true, '{}', 0, now(),
          true, now(), now() from attempts where agreement_id = :agreement limit 1""",
    "a message of the provider that is signalled": """update notifications set status = 'signalled'
        where agreement_id = :agreement""",
    "still to be ended at the provider": """update credentials set release_at = now()
        from agreements where credential_id = credentials.id and agreements.id = :agreement""",
    "delete it first": """update credentials set status = 'active'
        from agreements where credential_id = credentials.id and agreements.id = :agreement""",
}
"""What is refused for which reason, and how the rows come to be so."""


async def erase(session: AsyncSession, shop: Shop, customer: str) -> erasure.Erased:
    owner, actor = Principal(shop.merchant_id, livemode=False), Actor("operator", "autodebit customers erase")
    return await erasure.erase(session, shop.house.vault, owner, customer, actor, utcnow())


async def command(house: House, *words: str) -> tuple[int, str]:
    settings = house.settings
    environment = {
        "AUTODEBIT_DATABASE_URL": settings.database_url,
        "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "AUTODEBIT_VAULT_KEYS": ",".join(key.get_secret_value() for key in settings.vault_keys),
        "AUTODEBIT_VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
    }
    result = await asyncio.to_thread(CliRunner().invoke, command_line, ["customers", *words], env=environment)
    return result.exit_code, result.output


async def signed_up(shop: Shop, clock: str, customer: str, **changes: Any) -> dict[str, Any]:
    """What the call that makes an agreement was sent and answered; the customer has agreed."""
    sent = agreement_body(clock, customer=ELENA | {"id": customer}, consent=SEEN, metadata=NOTES, **changes)
    made = await shop.call("POST", "/v1/agreements", sent, expect=201)
    await shop.decide(made["authorization"]["url"], decision="approve", script="success")
    await shop.until_settled(await shop.until_status(str(made["id"]), "active"))
    return made


async def test_a_customer_is_erased_and_the_books_stay(house: House, shop: Shop) -> None:
    async with a_receiver() as receiver:
        receiver.answers = [Response(f"wrote to {ELENA['email']}") for _ in range(20)]
        await an_endpoint(shop, receiver)
        clock = await shop.clock(START)
        agreement = (await signed_up(shop, clock, "cus-erased"))["id"]
        await shop.call("POST", f"/v1/agreements/{agreement}/portal-links", {}, expect=201)
        await shop.call("POST", f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"}, expect=201)
        await shop.advance(clock, "2027-02-01T00:00:00Z")
        first = ["erase", "cus-erased", "--merchant", shop.merchant_id, "--mode", "test", "--reason", REASON, "--yes"]
        code, said = await command(house, *first)
        assert code == 1
        assert f"{agreement} is active: it has not ended" in said
        await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {"initiator": "customer"})
        await workflow_closed(shop, agreement)
        # What came back of a call that is under way would be written down after the erasure.
        await until(lambda: all_delivered(house, agreement))

    handle = house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    told = [event async for event in handle.fetch_history_events()]
    for event in told:
        await unseal(event, house.temporal.data_converter.payload_codec)
    known = leaked(b"".join(event.SerializeToString() for event in told), ["PHP 499.00", *PERSON])
    assert known == {"PHP 499.00"}, "also opened, a history knows what was agreed, not with whom"
    before = await shop.charges(agreement)
    places = {place for place, raw in (await rows(house.database)).items() if leaked(raw, PERSON)}
    assert places == {"agreements", "events", "idempotency_keys", "delivery_attempts"}
    await refused_while_something_is_on_its_way(shop, agreement)

    code, said = await command(house, *first, "--by", "dpo")
    assert (code, "cus-erased is erased from 1 agreements" in said) == (0, True), said
    assert {place for place, raw in (await rows(house.database)).items() if leaked(raw, PERSON)} == set()
    read = await shop.read(agreement)
    assert read["customer"] == {"id": "cus-erased", "name": None, "email": None, "phone": None, "region": "PH"}
    assert (read["status"], read["metadata"]) == ("revoked", {})
    assert await shop.charges(agreement) == before
    [shown] = (await shop.call("GET", f"/v1/agreements/{agreement}/consents"))["data"]
    assert shown["shown"]["terms"]["amount"] == {"currency": "PHP", "value": 49900}
    assert shown["sightings"][0] == {**SEEN, "ip": None, "user_agent": None, "where": "merchant", "at": None}
    await nothing_sealed_is_left(house, agreement)
    await no_link_leads_to_the_customer(house, agreement)
    assert (await command(house, *first))[0] == 0, "doing it again changes nothing"


async def all_delivered(house: House, agreement: str) -> bool:
    of_them = select(Delivery.status).join(Event, col(Event.id) == Delivery.event_id)
    async with house.database.transaction() as session:
        found = (await session.exec(of_them.where(Event.agreement_id == agreement))).all()
    return set(found) == {DeliveryStatus.DELIVERED}


async def refused_while_something_is_on_its_way(shop: Shop, agreement: str) -> None:
    """Each thing by itself; the rows are put back."""
    for reason, statement in ON_THEIR_WAY.items():
        async with shop.house.database.transaction() as session:
            await (await session.connection()).execute(text(statement), {"agreement": agreement})
            with pytest.raises(NotYet, match=reason):
                await erase(session, shop, "cus-erased")
            await session.rollback()


async def nothing_sealed_is_left(house: House, agreement: str) -> None:
    async with house.database.transaction() as session:
        messages = (await session.exec(select(Notification).where(Notification.agreement_id == agreement))).all()
        assert messages
        opened = [journal.unseal(house.vault, row.sealed_message) for row in messages]
        assert opened == [JournalledMessage()] * len(messages)
        consent = (await session.exec(select(Consent).where(Consent.agreement_id == agreement))).one()
        seen = consents.evidence(house.vault, consent).sightings
        assert {(one.ip, one.user_agent) for one in seen} == {(None, None)}
        assert [one.where.value for one in seen] == ["merchant", "return"]
        credential = (await session.exec(select(Credential).where(Credential.customer_id == "cus-erased"))).one()
        assert (credential.sealed_access_token, credential.sealed_refresh_token) == (None, None)
        query = select(TrailEntry).where(
            TrailEntry.agreement_id == agreement, col(TrailEntry.object_id) == "cus-erased"
        )
        noted = (await session.exec(query)).one()
        assert (noted.call, noted.who, noted.reason) == ("autodebit customers erase", "dpo", REASON)
        assert await audit.of_agreements(session, [agreement]) == []


async def no_link_leads_to_the_customer(house: House, agreement: str) -> None:
    async with house.database.transaction() as session:
        links = await session.exec(select(PortalLink).where(PortalLink.agreement_id == agreement))
        assert links.all() == []
        pages = await session.exec(select(Authorization.url).where(Authorization.agreement_id == agreement))
        assert pages.all() == [None]
        changes = await session.exec(select(CardChange.url).where(CardChange.agreement_id == agreement))
        assert changes.all() == [""]


async def test_nobody_else_is_erased(house: House, shop: Shop) -> None:
    terms = {"start_date": "2099-01-31", "expiry_date": "2100-12-31"}
    other = await house.shop()
    made = []
    for owner, customer in ((shop, "cus-1"), (shop, "cus-2"), (other, "cus-1")):
        body = agreement_body(None, customer={"id": customer, "name": "Bea Staying"}, terms=terms)
        made.append((owner, (await owner.call("POST", "/v1/agreements", body, expect=201))["id"]))
    _, agreement = made[0]
    await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {"initiator": "merchant"})
    await workflow_closed(shop, agreement)
    async with house.database.transaction() as session:
        assert (await erase(session, shop, "cus-1")).agreements == (agreement,)
    names = [(await owner.read(each))["customer"]["name"] for owner, each in made]
    assert names == [None, "Bea Staying", "Bea Staying"]
    words = ["erase", "cus-1", "--merchant", shop.merchant_id, "--mode", "live", "--reason", REASON]
    assert (await command(house, *words))[0] == 2, "nobody can be asked"
    code, said = await command(house, *words, "--yes")
    assert (code, "has no agreement with a customer cus-1 in this mode" in said) == (1, True)
