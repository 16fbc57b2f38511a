"""The running API against its own description: thousands of generated requests, none answered 500 or undescribed.

Generated ids name nothing, so most paths are given the ids of things that exist: an agreement that has collected, with
its charges, a refund and an open link, and others to pause, amend and revoke.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.house import Shop

FEWEST = 2000
"""Requests of a run."""

# What a schema cannot say decides over sound requests too: that an id names something, that dates are in order, that
# an address is one. Anything but these answers to them is a failure.
_TO_SOUND_REQUESTS = ["2xx", 404, 409, 422]

_CONFIG = """\
seed = 1
color = false
warnings = false
request-timeout = 30
hooks = "tests.promises.quiet_endpoints"
headers = {{ Authorization = "Bearer {key}" }}

[checks]
enabled = true
positive_data_acceptance.expected-statuses = {sound}

[generation]
max-examples = 4
deterministic = true
database = "none"

# A part that is too busy to answer there is away, and 503 the right answer.
[[operations]]
include-path = "/readyz"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]
checks.positive_data_acceptance.expected-statuses = ["2xx", 503]
"""


@pytest.mark.generated
@pytest.mark.timeout(600)  # less than a minute on an idle machine
async def test_generated_requests_are_answered_as_described(shop: Shop, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(_CONFIG.format(key=shop.secret_key, sound=_TO_SOUND_REQUESTS) + _known(await _world(shop)))
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(config),
        "run",
        f"{shop.house.settings.public_url}/openapi.json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    output = (await program.communicate())[0].decode()
    assert program.returncode == 0, output
    made = re.search(r"(\d+) generated, (\d+) passed", output)
    assert made is not None, output
    assert made[1] == made[2]
    assert int(made[1]) >= FEWEST


async def _world(shop: Shop) -> dict[str, list[str]]:
    """Ids of what exists, by the path parameters that name them."""
    clock = await shop.clock("2027-01-31T00:00:00Z")
    collected = await shop.agree(clock)
    await shop.advance(clock, "2027-02-28T12:00:00Z")
    charges = [charge["id"] for charge in await shop.charges(collected) if charge["status"] == "succeeded"]
    assert len(charges) == 2
    refund = await shop.call("POST", f"/v1/charges/{charges[0]}/refunds", {"amount": _php(100)}, expect=201)
    asked = await shop.call("POST", f"/v1/agreements/{collected}/card-changes", {"initiator": "customer"}, expect=201)
    hook = {"url": "https://shop.example/hooks", "event_types": ["cycle.upcoming"]}
    endpoint = await shop.call("POST", "/v1/webhook-endpoints", hook, expect=201)
    read = await shop.read(collected)
    return {
        "agreement_id": [collected, await shop.agree(None), await shop.agree(None)],
        "charge_id": charges,
        "refund_id": [refund["id"]],
        "card_change_id": [asked["id"]],
        "clock_id": [clock],
        "endpoint_id": [endpoint["id"]],
        "event_id": [event["id"] for event in await shop.events(collected)],
        "customer_id": [read["customer"]["id"]],
        "credential_id": [read["credential"]["id"]],
    }


def _known(world: dict[str, list[str]]) -> str:
    """Most generated paths lead to what exists."""
    told = [f"[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n" for name, ids in world.items()]
    used = [f'[parameters."path.{name}"]\ndictionary = "{name}"\nprobability = 0.8\n' for name in world]
    return "\n".join(told + used)


def _php(value: int) -> dict[str, Any]:
    return {"currency": "PHP", "value": value}
