"""The customer's page over HTTP: who gets in, what it says, and what its buttons do. No worker answers here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from agreements.status import AgreementStatus, AttemptStatus, ChargePurpose, ChargeStatus
from store import ids
from store.changes import change
from store.database import Database
from store.tables import Agreement, Attempt, CardChange, Charge, Credential, PortalLink
from store.tables import TestClock as Clock
from store.vault import Vault
from tests.api.conftest import Shop, activate, assert_problem

HERE = "https://pay.example"
ATTACK = "<script>alert('x')</script>\"'&"


async def running(database: Database, vault: Vault, shop: Shop, **changes: Any) -> str:
    """An agreement the customer has agreed to."""
    made = await shop.create(**changes)
    await activate(database, vault, made["id"], f"at_{made['id']}")
    return str(made["id"])


async def link(shop: Shop, agreement: str, **body: Any) -> str:
    """The path of a fresh link."""
    answer = await shop.post(f"/v1/agreements/{agreement}/portal-links", body)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    assert url.startswith(f"{HERE}/portal/")
    return url.removeprefix(HERE)


def text(page: str) -> str:
    """What a page says, its tags taken out."""
    inline = re.sub(r"</?bdi>", "", page)
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", inline, flags=re.DOTALL).split())


async def charged(
    database: Database, agreement: str, status: ChargeStatus, *, decline: str | None = None, **columns: Any
) -> None:
    """A charge of the past, with one attempt where it was declined."""
    async with change(database, agreement) as locked:
        due = locked.now - timedelta(days=2)
        row = Charge(
            id=ids.new("chg"),
            agreement_id=agreement,
            merchant_id=locked.agreement.merchant_id,
            livemode=locked.agreement.livemode,
            purpose=ChargePurpose.ON_DEMAND,
            status=status,
            currency="PHP",
            amount=49900,
            due_at=due,
            attempts_made=1,
            created_at=due,
        )
        for name, value in columns.items():
            setattr(row, name, value)
        locked.session.add(row)
        await locked.session.flush()
        if decline is not None:
            tried = Attempt(
                id=ids.new("att"),
                agreement_id=agreement,
                charge_id=row.id,
                number=1,
                gateway_request_id=ids.new("req"),
                status=AttemptStatus.FAILED,
                currency="PHP",
                amount=49900,
                decline={"category": decline, "code": decline},
                prepared_at=due,
            )
            locked.session.add(tried)


async def test_a_link_lives_a_day_unless_the_merchant_says_otherwise(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    path = f"/v1/agreements/{agreement}/portal-links"
    before = datetime.now(UTC)
    first, again = await shop.post(path, {}, key="once"), await shop.post(path, {}, key="once")
    assert first.json() == again.json()
    lives = datetime.fromisoformat(first.json()["expires_at"]) - before
    assert timedelta(days=1) <= lives < timedelta(days=1, minutes=1)
    assert first.json()["url"] != (await shop.post(path, {"expires_in": 300})).json()["url"]
    for seconds in (299, 30 * 86_400 + 1, "86400"):
        assert_problem(await shop.post(path, {"expires_in": seconds}), 422, "invalid_request", "/expires_in")
    assert_problem(await shop.post(path, {"return_url": "ftp://x"}), 422, "invalid_request", "/return_url")
    assert_problem(await shop.post(path, {"locale": "tlh"}), 422, "invalid_request", "/locale")


async def test_only_the_merchant_gets_a_link_and_only_to_what_was_agreed(
    shop: Shop, live_shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    assert_problem(await live_shop.post(f"/v1/agreements/{agreement}/portal-links", {}), 404, "not_found")
    waiting = (await shop.create(reference="sub-1002"))["id"]
    assert_problem(await shop.post(f"/v1/agreements/{waiting}/portal-links", {}), 409, "state_conflict")


async def test_the_token_is_kept_as_a_hash_and_a_seal(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    token = (await link(shop, agreement)).rsplit("/", 1)[1]
    async with database.transaction() as session:
        row = (await session.exec(select(PortalLink).where(PortalLink.agreement_id == agreement))).one()
    assert row.token_hash == vault.fingerprint(token)
    assert token not in row.sealed_token


async def test_a_link_opens_its_page_and_nothing_else(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    token = (await link(shop, agreement)).rsplit("/", 1)[1]
    asked = await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"})
    other = asked.json()["url"].rsplit("/", 1)[1]
    for method, path in (
        ("GET", f"/card-changes/{token}"),
        ("POST", f"/card-changes/{token}"),
        ("GET", f"/portal/{other}"),
        ("POST", f"/portal/{other}/card-change"),
        ("GET", f"/portal/{other}/cancel"),
        ("POST", f"/portal/{other}/cancel"),
    ):
        answer = await shop.http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
    as_key = await shop.http.get(f"/v1/agreements/{agreement}", headers={"Authorization": f"Bearer {token}"})
    assert as_key.status_code == 401
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == "active"


async def test_a_link_ends_with_its_time_which_is_the_agreements_own(
    shop: Shop, database: Database, vault: Vault
) -> None:
    clock = (await shop.post("/v1/test-clocks", {"now": "2027-01-31T00:00:00Z"})).json()["id"]
    agreement = await running(database, vault, shop, test_clock=clock)
    path = await link(shop, agreement, expires_in=3600)

    async def at(now: str) -> None:
        async with database.transaction() as session:
            (await session.get_one(Clock, clock)).now = datetime.fromisoformat(now)

    await at("2027-01-31T00:59:59Z")
    assert (await shop.http.get(path)).status_code == 200
    await at("2027-01-31T01:00:00Z")
    asked = [("GET", path), ("GET", f"{path}/cancel"), ("POST", f"{path}/cancel"), ("POST", f"{path}/card-change")]
    for method, address in asked:
        answer = await shop.http.request(method, address)
        assert answer.status_code == 410, address
        assert "This link has expired" in answer.text
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == "active"


async def test_no_browser_keeps_runs_frames_or_passes_on_anything(shop: Shop, database: Database, vault: Vault) -> None:
    path = await link(shop, await running(database, vault, shop))
    for address in (path, f"{path}/cancel", "/portal/unknown"):
        page = await shop.http.get(address)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        # A policy on forms would also forbid the way to the provider's page.
        assert ("form-action 'self'" in policy) is (address != path)
        for name, value in {
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "x-robots-tag": "noindex, nofollow",
        }.items():
            assert page.headers[name] == value, address
        assert "set-cookie" not in page.headers
        assert "<script" not in page.text
        assert not re.search(r'\s(src|style|on\w+)="', page.text)


async def test_what_merchants_write_is_only_text(shop: Shop, database: Database, vault: Vault) -> None:
    seller = {"name": ATTACK}
    customer = {"id": "cus-7", "name": ATTACK, "region": "PH"}
    agreement = await running(database, vault, shop, reference=ATTACK, terms={"seller": seller}, customer=customer)
    await charged(database, agreement, ChargeStatus.SUCCEEDED, description=ATTACK, paid_at=datetime.now(UTC))
    path = await link(shop, agreement, return_url='https://shop.example/?a="><script>')
    card = (await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"})).json()["url"]
    for address in (path, f"{path}/cancel", card.removeprefix(HERE), f"{path}?lang={ATTACK}", f"{path}?back={ATTACK}"):
        page = await shop.http.get(address, headers={"Accept-Language": ATTACK})
        assert page.status_code == 200, address
        assert "<script" not in page.text, address
        assert "&lt;script&gt;" in page.text, address


async def test_the_page_says_what_was_agreed_and_what_comes(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop, terms={"seller": {"name": "Golden Gym"}})
    async with change(database, agreement) as locked:
        credential = await locked.session.get_one(Credential, locked.agreement.credential_id)
        credential.kind, credential.brand, credential.last4 = "card", "VISA", "4242"
        credential.expiry_month, credential.expiry_year = 2, 2029
        # 17:00 UTC is the next day in Manila.
        moment = datetime(2027, 1, 30, 17, tzinfo=UTC)
    await charged(database, agreement, ChargeStatus.SCHEDULED, due_at=moment, next_attempt_at=moment, attempts_made=0)
    said = text((await shop.http.get(await link(shop, agreement, return_url="https://golden.example/"))).text)
    assert "Your payments to Golden Gym" in said
    assert "Next payment ₱499.00 January 31, 2027" in said
    assert "VISA ending in 4242 valid until 02/2029" in said
    assert "Amount ₱499.00 How often Every month Starts January 31, 2027" in said
    assert "Number of payments 12 Until December 31, 2028 Reference sub-1001" in said
    assert "There are no payments yet." in said
    assert "Change card" in said
    assert "Back to Golden Gym" in said


@pytest.mark.parametrize(
    ("status", "decline", "columns", "expected"),
    [
        ("retrying", "insufficient_funds", {"next_attempt_at": datetime(2099, 3, 2, tzinfo=UTC)},
         "There was not enough money in the account. It is tried again on March 2, 2099."),
        ("action_required", "expired_card", {"act_by": datetime(2099, 3, 2, tzinfo=UTC)},
         "The card or wallet you pay with has expired. Please act by March 2, 2099."),
        ("failed", "risk", {}, "The payment was not accepted."),
    ],
)  # fmt: skip
async def test_the_page_says_what_is_owed_and_what_can_be_done(
    shop: Shop, database: Database, vault: Vault, status: str, decline: str, columns: dict[str, Any], expected: str
) -> None:
    agreement = await running(database, vault, shop)
    await charged(database, agreement, ChargeStatus(status), decline=decline, **columns)
    said = text((await shop.http.get(await link(shop, agreement))).text)
    assert "Not paid yet ₱499.00 Due on" in said
    assert expected in said
    assert "collected at once" in said
    assert "Change how you pay" in said


async def test_the_page_speaks_as_asked(shop: Shop, database: Database, vault: Vault) -> None:
    """The address outranks the link, the link the browser, the browser English."""
    agreement = await running(database, vault, shop)
    plain, arabic = await link(shop, agreement), await link(shop, agreement, locale="ar")

    async def spoken(path: str, browser: str = "") -> str:
        page = await shop.http.get(path, headers={"Accept-Language": browser})
        [(language, direction)] = re.findall(r'<html lang="(\w+)" dir="(\w+)">', page.text)
        assert direction == {"en": "ltr", "ar": "rtl"}[language]
        assert page.headers["content-language"] == language
        return str(language)

    assert await spoken(plain) == "en"
    assert await spoken(plain, "tlh, ar-KW;q=0.9, en;q=0.5") == "ar"
    assert await spoken(plain, "ar;q=0, en") == "en"
    assert await spoken(plain, "ar;q=x") == "en"
    assert await spoken(plain + "?lang=ar", "en") == "ar"
    assert await spoken(plain + "?lang=xx", "ar") == "ar"
    assert await spoken(arabic, "en") == "ar"
    assert await spoken(arabic + "?lang=en", "ar") == "en"


async def test_cancelling_is_asked_for_and_then_final_however_often_it_is_pressed(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    path = await link(shop, agreement)
    asked = await shop.http.get(f"{path}/cancel?lang=ar")
    assert asked.status_code == 200
    assert f'action="{path}/cancel?lang=ar"' in asked.text
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == "active", "asking cancels nothing"
    for _ in range(2):
        pressed = await shop.http.post(f"{path}/cancel?lang=ar")
        assert (pressed.status_code, pressed.headers["location"]) == (303, f"{path}?lang=ar")
    read = (await shop.get(f"/v1/agreements/{agreement}")).json()
    assert (read["status"], read["revocation"]["initiator"]) == ("revoked", "customer")
    events = (await shop.get("/v1/events", agreement=agreement)).json()["data"]
    assert [event["type"] for event in events].count("agreement.revoked") == 1


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (AgreementStatus.REVOKED, "These payments were cancelled on"),
        (AgreementStatus.COMPLETED, "All payments have been made."),
        (AgreementStatus.EXPIRED, "The agreement ended on"),
    ],
)
async def test_what_has_ended_is_shown_and_offers_nothing(
    shop: Shop, database: Database, vault: Vault, ended: AgreementStatus, expected: str
) -> None:
    agreement = await running(database, vault, shop)
    await charged(database, agreement, ChargeStatus.FAILED, decline="risk")
    await charged(database, agreement, ChargeStatus.SUCCEEDED, paid_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    path = await link(shop, agreement)
    async with change(database, agreement) as locked:
        locked.agreement.ended, locked.agreement.ended_at = ended, locked.now
    for address in (path, await link(shop, agreement)):
        page = await shop.http.get(address)
        assert expected in text(page.text)
        assert "Paid on March 1, 2026" in text(page.text)
        assert "<form" not in page.text
        assert "/cancel" not in page.text
        assert "Not paid yet" not in page.text
    for method, address in (("GET", "cancel"), ("POST", "cancel"), ("POST", "card-change")):
        answer = await shop.http.request(method, f"{path}/{address}")
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == ended


async def test_a_paused_agreement_says_so(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    await shop.post(f"/v1/agreements/{agreement}/pause")
    said = text((await shop.http.get(await link(shop, agreement))).text)
    assert "Example Store has paused these payments." in said


async def test_the_customers_wish_for_another_card_is_one_wish(shop: Shop, database: Database, vault: Vault) -> None:
    """Pressed twice it is the same change; it takes the place of a link made elsewhere, and leads back here."""
    agreement = await running(database, vault, shop)
    older = (await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"})).json()
    path = await link(shop, agreement)
    pressed = [await shop.http.post(f"{path}/card-change?lang=ar") for _ in range(2)]
    assert [answer.status_code for answer in pressed] == [503, 503], "nobody answers for the provider here"
    assert f'href="{path}?lang=ar"' in pressed[0].text
    listed = (await shop.get(f"/v1/agreements/{agreement}/card-changes")).json()["data"]
    newest, replaced = listed
    assert (newest["initiator"], newest["status"], newest["return_url"]) == ("customer", "opened", None)
    assert (replaced["id"], replaced["status"]) == (older["id"], "expired")
    async with database.transaction() as session:
        row = await session.get_one(CardChange, newest["id"])
        of = await session.get_one(PortalLink, row.portal_link_id)
        assert of.language == "ar", "the language last chosen is the one the customer comes back to"
        assert (await session.get_one(Agreement, agreement)).ended is None
    back = await shop.http.get(f"{path}?back=1")
    assert "لم يتغيّر شيء حتى الآن" in back.text
