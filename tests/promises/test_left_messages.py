"""Promise 9 at the front door: what a provider or a customer told an API that then died is not lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from activities.contract import AGREEMENTS_QUEUE, SWEEP
from store import ids, journal
from store.journal import JournalledMessage
from store.tables import Notification
from tests.support.house import House, Shop, agreement_body


async def test_a_customer_s_code_that_was_only_journalled_is_taken_up(house: House, shop: Shop) -> None:
    clock = await shop.clock("2027-01-31T00:00:00Z")
    made = await shop.call("POST", "/v1/agreements", agreement_body(clock), expect=201)
    page = await house.outside.post(made["authorization"]["url"], data={"decision": "approve", "script": "success"})
    back = urlsplit(page.headers["location"])
    message = JournalledMessage(method="GET", path=back.path, query=dict(parse_qsl(back.query)))
    left = Notification(
        id=ids.new("ntf"),
        account_id=shop.account,
        source="return",
        sealed_message=journal.seal(house.vault, message),
        created_at=datetime.now(UTC) - timedelta(minutes=1),
    )
    async with house.database.transaction() as session:
        session.add(left)
    await house.temporal.execute_activity(
        SWEEP, id=f"sweep/{left.id}", task_queue=AGREEMENTS_QUEUE, start_to_close_timeout=timedelta(minutes=1)
    )
    await shop.until_status(made["id"], "active")
    async with house.database.transaction() as session:
        # The sandbox tells the code, too; whichever message is first counts.
        assert (await session.get_one(Notification, left.id)).status in ("settled", "duplicate")
