"""What schemes tell of a card with a decline is known of it, and told, from then on."""

from __future__ import annotations

from activities import outcomes
from agreements.attempts import Verdict
from agreements.declines import Decline, DeclineCategory
from agreements.status import AttemptStatus
from gateways.antom.connector import Antom
from gateways.port import ChargeAnswer
from store.card_changes import Links
from store.changes import change
from store.ids import new
from store.tables import Attempt, Credential
from tests.promises.customers import DUE, in_use
from tests.promises.support import START, charge_row, unwatched
from tests.support.house import Shop

ADVICE = Decline(
    category=DeclineCategory.DO_NOT_HONOR,
    code="do_not_honor",
    raw_code="DO_NOT_HONOR",
    network_code="05",
    network_advice="41",
    message="The bank declined.",
)
"""Mastercard's advice 41: a single-use virtual number (payment-rules §2.2)."""


async def test_a_number_for_one_payment_is_known_after_its_first_decline(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    credential = await in_use(shop, agreement)
    charge = await charge_row(shop.house, agreement)
    async with shop.house.database.transaction() as session:
        (await session.get_one(Credential, credential)).network = "mastercard"
    at = await unwatched(shop.house, clock, DUE)
    attempt = Attempt(
        id=new("att"),
        agreement_id=agreement,
        charge_id=charge.id,
        number=1,
        gateway_request_id=new("req"),
        status=AttemptStatus.SENT,
        currency="PHP",
        amount=49900,
        credential_id=credential,
        prepared_at=at,
        sent_at=at,
    )
    links = Links(shop.house.vault, shop.house.settings.public_url)
    async with change(shop.house.database, agreement) as locked:
        locked.session.add(attempt)
        await locked.session.flush()
        await outcomes.record(locked, attempt, ChargeAnswer(Verdict.DECLINED, decline=ADVICE), Antom.traits, links)
    shown = (await shop.read(agreement))["credential"]
    assert shown["marks"] == ["single_use"]
    assert [warning["code"] for warning in shown["warnings"]] == ["single_use"]
