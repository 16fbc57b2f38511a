"""What the customer's page says, and in which words. No worker answers here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from agreements.refunds import RefundKind, RefundStatus
from agreements.status import AgreementStatus, AttemptStatus, ChargeStatus
from store import ids
from store.changes import change
from store.database import Database
from store.tables import Attempt, Charge, Credential, Refund
from store.vault import Vault
from tests.api.conftest import Shop
from tests.api.customers import HERE, charged, link, running, text

ATTACK = "<script>alert('x')</script>\"'&"


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
        credential.expiry_month, credential.expiry_year = 2, 2057
        # 17:00 UTC is the next day in Manila.
        moment = datetime(2055, 1, 30, 17, tzinfo=UTC)
    await charged(database, agreement, ChargeStatus.SCHEDULED, due_at=moment, next_attempt_at=moment, attempts_made=0)
    said = text((await shop.http.get(await link(shop, agreement, return_url="https://golden.example/"))).text)
    assert "Your payments to Golden Gym" in said
    assert "Next payment ₱499.00 January 31, 2055" in said
    assert "VISA ending in 4242 valid until 02/2057" in said
    assert "Amount ₱499.00 How often Every month Starts January 31, 2055" in said
    assert "Number of payments 12 Until December 31, 2056 Reference sub-1001" in said
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


async def test_a_permission_that_has_run_out_is_told_before_anything_is_owed(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    path = await link(shop, agreement)
    async with change(database, agreement) as locked:
        locked.agreement.action_required = "token_expired"
    said = text((await shop.http.get(path)).text)
    assert "Your attention is needed Your permission to collect these payments has run out." in said
    assert "so that your next payment can be made. Change how you pay" in said
    assert "Not paid yet" not in said


async def test_the_history_tells_what_went_back_and_what_was_put_off(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    paid = datetime(2026, 3, 1, 12, tzinfo=UTC)
    await charged(database, agreement, ChargeStatus.PARTIALLY_REFUNDED, paid_at=paid)
    await charged(database, agreement, ChargeStatus.SKIPPED, carried_to=2, attempts_made=0)
    async with change(database, agreement) as locked:
        mine = select(Charge).where(Charge.agreement_id == agreement, Charge.paid_at == paid)
        charge = (await locked.session.exec(mine)).one()
        attempt = Attempt(
            id=ids.new("att"),
            agreement_id=agreement,
            charge_id=charge.id,
            number=1,
            gateway_request_id=ids.new("req"),
            status=AttemptStatus.SUCCEEDED,
            currency="PHP",
            amount=49900,
            prepared_at=paid,
        )
        locked.session.add(attempt)
        await locked.session.flush()
        for amount, status in (
            (10000, RefundStatus.SUCCEEDED),
            (5000, RefundStatus.PENDING),
            (700, RefundStatus.FAILED),
        ):
            refund = Refund(
                id=ids.new("rfd"),
                agreement_id=agreement,
                charge_id=charge.id,
                attempt_id=attempt.id,
                kind=RefundKind.REFUND,
                request_id=ids.new("req"),
                status=status,
                currency="PHP",
                amount=amount,
                created_at=paid,
                finished_at=paid if status is not RefundStatus.PENDING else None,
            )
            locked.session.add(refund)
    said = text((await shop.http.get(await link(shop, agreement))).text)
    assert "Partly given back Paid on March 1, 2026 ₱100.00 was given back on March 1, 2026" in said
    assert "₱50.00 is being given back" in said
    assert "₱7.00" not in said
    assert "Not collected Due on" in said
    assert "Added to a later payment" in said
