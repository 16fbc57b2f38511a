"""What tests of the customer's page share: a link to it, its text, and charges of the past."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus
from store import ids
from store.changes import change
from store.database import Database
from store.tables import Attempt, Charge
from store.vault import Vault
from tests.api.conftest import Shop, activate

HERE = "https://pay.example"


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
    """A charge of the past, with its attempts where it was declined."""
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
            # The customer's own try to pay it failed as well, for a reason that is no news to them.
            for number, category, page in ((1, decline, None), (2, "do_not_honor", "aut_of_the_customer")):
                tried = Attempt(
                    id=ids.new("att"),
                    agreement_id=agreement,
                    charge_id=row.id,
                    number=number,
                    gateway_request_id=ids.new("req"),
                    status=AttemptStatus.FAILED,
                    currency="PHP",
                    amount=49900,
                    authorization_id=page,
                    decline={"category": category, "code": category},
                    prepared_at=due,
                )
                locked.session.add(tried)
