"""Promise 8: over a whole life nothing that is secret can be read anywhere but at the provider."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import structlog

from gateways import http
from store import ids, merchants
from store.tables import Agreement, Credential, GatewayAccount, Notification
from tests.promises.leaks import captured_logs, histories, leaked, rows
from tests.promises.support import types, until
from tests.promises.webhook_receiver import a_receiver, an_endpoint
from tests.support.house import House, Shop, agreement_body

_LONG = timedelta(minutes=1)
SCRIPT = "success,insufficient_funds,success,lost_answer_success,success"


async def tokens(house: House, agreement: str) -> set[str]:
    """What the provider and the vault say the tokens of an agreement are."""
    async with house.database.transaction() as session:
        row = await session.get_one(Agreement, agreement)
        credential = await session.get_one(Credential, row.credential_id)
        access = house.vault.open("access_token", credential.sealed_access_token or "")
        refresh = house.vault.open("refresh_token", credential.sealed_refresh_token or "")
    known = (await house.outside.get(f"{house.sandbox_url}/_sandbox/credentials")).json()["data"]
    assert access in [one["token"] for one in known]
    return {access, refresh}


async def keys(house: House, shop: Shop) -> set[str]:
    """The merchant's own: its API key, and the middle of its private key."""
    async with house.database.transaction() as session:
        account = await session.get_one(GatewayAccount, shop.account)
    private = "".join(merchants.opened_keys(house.vault, account)["private_key"].split())
    return {shop.secret_key, private[200:260]}


async def approve(house: House, shop: Shop, clock: str) -> tuple[str, str]:
    """The customer agrees; the agreement, and the code their browser brought along."""
    made = await shop.call("POST", "/v1/agreements", agreement_body(clock), expect=201)
    form = {"decision": "approve", "script": SCRIPT}
    sent_back = (await house.outside.post(made["authorization"]["url"], data=form)).headers["location"]
    back = await house.outside.get(sent_back)
    (code,) = parse_qs(urlsplit(sent_back).query)["authCode"]
    assert code not in str(back.headers) + back.text, "the merchant's page must not get to see it"
    return await shop.until_status(str(made["id"]), "active"), code


async def change_card(shop: Shop, agreement: str) -> str:
    """The customer gives another wallet, by a link whose token is the answer."""
    made = await shop.call("POST", f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"}, 201)
    page = await shop.house.outside.post(made["url"])
    await shop.decide(page.headers["location"], decision="approve", script=SCRIPT)

    async def done() -> bool:
        return "card_change.completed" in await types(shop, agreement)

    await until(done)
    return str(made["url"].rsplit("/", 1)[1])


async def test_no_secret_can_be_read_after_a_whole_life(house: House, shop: Shop) -> None:
    async with a_receiver() as receiver:
        with captured_logs() as written:
            _, webhook_secret = await an_endpoint(shop, receiver)
            clock = await shop.clock("2027-01-31T00:00:00Z")
            agreement, code = await approve(house, shop, clock)
            secrets = {code, webhook_secret, webhook_secret.removeprefix("whsec_")} | await keys(house, shop)
            first = await tokens(house, agreement)
            replaced = await change_card(shop, agreement)
            first |= await tokens(house, agreement)
            await shop.advance(clock, "2027-08-01T00:00:00Z")
            second = await tokens(house, agreement)
            await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {"initiator": "merchant"})
            await shop.advance(clock, "2027-08-02T00:00:00Z")
        secrets |= first | second
        assert not first & second, "both tokens were refreshed on the way"
        assert len(secrets) == 11

        told = await shop.events(agreement)
        types = {event["type"] for event in told}
        assert {"agreement.revoked", "credential.refreshed", "charge.retry_scheduled", "charge.succeeded"} <= types
        assert (await shop.read(agreement))["revocation"]["provider_status"] == "done"
        shown = [await shop.read(agreement), told, await shop.charges(agreement)]
        shown.append(await shop.call("GET", f"/v1/agreements/{agreement}/timeline?limit=200"))

        places = {"API": json.dumps(shown).encode(), "logs": written.getvalue().encode()}
        places |= {f"webhook {number}": body for number, (_, _, body) in enumerate(receiver.calls)}
        places |= await histories(house.temporal)
        places |= await rows(house.database)
    assert written.getvalue().count('"event": "request"') > 10, "the logs of the life are there"
    assert any(place.startswith(f"agreement/{agreement}") for place in places)
    assert any(place.startswith("dlv_") for place in places)
    # Merchants are told the link, to send it on; it must be nowhere else.
    told_to = {"API", "events", "card_changes", "idempotency_keys"}
    links = {place for place, raw in places.items() if leaked(raw, [replaced])}
    assert links <= told_to | {place for place in places if place.startswith("webhook ")}
    assert {"events", "card_changes"} <= links
    found = {place: leaked(raw, secrets) for place, raw in places.items()}
    assert {place: secret for place, secret in found.items() if secret} == {}


async def test_the_search_finds_what_is_planted(house: House, shop: Shop) -> None:
    """Else the test above could not fail."""
    secret = f"at_planted_{uuid4().hex}"
    with captured_logs() as written:
        structlog.get_logger().info("here", note=f"it is {secret}")
        logging.getLogger("asyncio").warning("and here %s", secret)
    assert written.getvalue().count(secret) == 2
    row = Notification(
        id=ids.new("ntf"), account_id=shop.account, source="return", sealed_message="", detail=json.dumps([secret])
    )
    async with house.database.transaction() as session:
        session.add(row)
    workflow = await house.temporal.start_workflow("nobody", secret, id=secret[-8:], task_queue="nobody's")
    standalone = await house.temporal.start_activity(
        "nobody", {"deep": [secret]}, id=ids.new("dlv"), task_queue="nobody's", schedule_to_close_timeout=_LONG
    )
    try:
        await until(lambda: listed(house, workflow.id, standalone.id))
        places = await histories(house.temporal) | await rows(house.database)
    finally:
        await workflow.terminate()
        await standalone.terminate()
        async with house.database.transaction() as session:
            await session.delete(await session.get_one(Notification, row.id))
    hits = {place.split()[0] for place, raw in places.items() if leaked(raw, [secret])}
    assert hits == {"notifications", secret[-8:], standalone.id}


async def listed(house: House, workflow: str, standalone: str) -> bool:
    """Whether Temporal's lists, which lag behind, have both."""
    workflows = house.temporal.list_workflows(f"WorkflowId = '{workflow}'")
    activities = house.temporal.list_activities(f"ActivityId = '{standalone}'")
    return bool([each async for each in workflows]) and bool([each async for each in activities])


async def test_clients_that_log_whole_addresses_are_quiet(house: House) -> None:
    with captured_logs() as written:
        async with http.client(httpx.MockTransport(lambda request: httpx.Response(204))) as client:
            await client.get("https://wallet.example/back?authCode=ac_1", headers={"authorization": "Bearer x"})
        assert "wallet.example" not in written.getvalue()
        for name in ("httpx", "httpcore.connection", "temporalio.worker"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)


@pytest.mark.parametrize(
    "line",
    [
        {"access_token": "s3cret"},
        {"refreshToken": "s3cret"},
        {"detail": {"authCode": "s3cret", "kept": 1}},
        {"headers": [{"Authorization": "Bearer s3cret"}]},
        {"webhook_secret": ["s3cret"]},
        {"private_key": "s3cret"},
        {"note": "key sk_live_s3cret was refused"},
        {"note": "signed with whsec_s3cret="},
        {"note": "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----"},
        {"note": "Authorization: Bearer eyJ.s3cret-x"},
        {"note": "GET /portal/s3cret-s3cret-s3cret HTTP/1.1"},
        {"note": "https://pay.example/card-changes/s3cret-s3cret-s3cret?back=1 was opened"},
        {"note": "/returns/antom/s3cret-s3cret-s3cret?authCode=s3cret"},
        {"error": ValueError("with sk_test_s3cret")},
        {"deep": [{"error": LookupError("whsec_s3cret")}]},
        {"by_name": {"sk_live_s3cret": 1}},
        {"card_number": "s3cret"},
    ],
)
@pytest.mark.parametrize("environment", ["production", "dev"])
def test_what_slips_into_a_line_is_taken_out(line: dict[str, object], environment: str) -> None:
    with captured_logs(environment) as written:
        structlog.get_logger().info("line", **line)
        logging.getLogger("asyncio").error("%s", line.get("note", "-"))
    assert "s3cret" not in written.getvalue()
    assert "[redacted]" in written.getvalue().splitlines()[0]
    if environment == "production":
        assert len([json.loads(one) for one in written.getvalue().splitlines()]) == 2


CARD = "4111111111111111"


@pytest.mark.parametrize(
    "value",
    [CARD, f"paid with {CARD}.", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", int(CARD), [CARD]],
)
def test_digits_as_long_as_a_card_number_are_taken_out(value: object) -> None:
    with captured_logs() as written:
        structlog.get_logger().info("line", seen=value, kept="agr_01jd3w00000000000000000000", at=1_795_000_000_000)
    line = json.loads(written.getvalue())
    assert "1111" not in str(line["seen"])
    assert "0005" not in str(line["seen"])
    assert "[redacted]" in str(line["seen"])
    assert (line["kept"], line["at"]) == ("agr_01jd3w00000000000000000000", 1_795_000_000_000)


@pytest.mark.parametrize(
    "said", ["2027-01-31T01:00:00Z to 2027-02-28T01:00:00Z", "PHP 499.00", "SANDBOX_5Y00000000000001", "10.0.0.1:54321"]
)
def test_what_only_looks_a_little_like_it_stays(said: str) -> None:
    with captured_logs() as written:
        structlog.get_logger().info(said)
    assert json.loads(written.getvalue())["event"] == said


@pytest.mark.parametrize("environment", ["production", "dev"])
def test_a_traceback_shows_no_values(environment: str) -> None:
    def fails(token: str) -> None:
        raise LookupError(f"for sk_test_{token}")

    with captured_logs(environment) as written:
        try:
            fails("".join(("s3", "cret")))
        except LookupError:
            structlog.get_logger().exception("failed")
    assert "LookupError" in written.getvalue()
    assert "s3cret" not in written.getvalue()
