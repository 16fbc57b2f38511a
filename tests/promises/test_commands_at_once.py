"""Promise 6 under concurrency: commands that collide queue on the agreement's row."""

from __future__ import annotations

import asyncio

from tests.promises.support import START, audited, types
from tests.support.house import Shop

NAMES = ("pause", "resume", "pause", "resume", "pause", "revoke")


async def test_thirty_commands_at_once(shop: Shop) -> None:
    """Each is done or refused by a conflict, none fails; every change is one event, numbered without a gap."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    headers = {"Authorization": f"Bearer {shop.secret_key}"}

    async def send(number: int) -> tuple[str, int]:
        name = NAMES[number % len(NAMES)]
        answer = await shop.house.outside.post(
            f"{shop.house.settings.public_url}/v1/agreements/{agreement}/{name}",
            json={},
            headers=headers | {"Idempotency-Key": f"at-once-{number}"},
        )
        return name, answer.status_code

    answers = await asyncio.gather(*map(send, range(30)))
    assert {status for _, status in answers} <= {200, 409}
    assert {status for name, status in answers if name == "revoke"} == {200}
    told = await types(shop, agreement, "agreement.paused", "agreement.resumed", "agreement.revoked")
    assert told.count("agreement.paused") == answers.count(("pause", 200))
    assert told.count("agreement.resumed") == answers.count(("resume", 200))
    assert told.count("agreement.revoked") == 1
    assert told[-1] == "agreement.revoked"
    assert (await shop.read(agreement))["status"] == "revoked"
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await shop.ledger(agreement) == []
    await audited(shop, agreement)
