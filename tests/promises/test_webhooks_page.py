"""docs/webhooks.md says what the engine does, and its example is run as it stands."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agreements.deliveries import WAITS
from api.routes.webhook_endpoints import EVENT_TYPES
from tests.promises.webhook_receiver import nobody
from tests.sandbox.support import serving
from tests.support.house import House, Shop

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def test_every_event_type_is_listed() -> None:
    assert set(re.findall(r"`([a-z_]+\.[a-z_]+)`", PAGE)) == EVENT_TYPES


def test_the_plan_is_the_plan() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(WAITS) + 1))
    for (_, said), wait in zip(rows, WAITS, strict=True):
        seconds = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+) ([a-z]+?)s?\b", said))
        assert timedelta(seconds=seconds) == wait


async def test_the_example_receives_what_the_engine_sends(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    with nobody() as port:
        address = f"http://127.0.0.1:{port}/webhooks"
        made = await shop.call("POST", "/v1/webhook-endpoints", {"url": address}, expect=201)
        monkeypatch.setenv("WEBHOOK_SECRET", made["secret"])
        receiver: dict[str, Any] = {}
        exec(compile(example, "docs/webhooks.md", "exec"), receiver)  # noqa: S102
    async with serving(receiver["app"], port):
        agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
        last = (await shop.events(agreement))[-1]
        async with asyncio.timeout(60):
            while receiver["latest"].get(agreement) != last:
                await asyncio.sleep(0.02)
        forged = await house.outside.post(
            address,
            content=json.dumps(last | {"sequence": 99}),
            headers={"webhook-id": last["id"], "webhook-timestamp": "1", "webhook-signature": "v1,bm8="},
        )
        assert forged.status_code == 400
        assert receiver["latest"][agreement] == last
