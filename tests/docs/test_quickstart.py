"""docs/quickstart.md is run as it stands: its shell blocks in order as one script, its Python files as named there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from api.app import create_app
from tests.sandbox.support import free_port
from tests.support.description import Description
from tests.support.house import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# (\w+\.py)\n")
_PORT = re.compile(r"\b9000\b")


def test_there_is_nothing_on_the_page_that_is_not_run() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "sh", "python"}
    # The one exception starts what stands already.
    assert [block for language, block in BLOCKS if language == "console"] == ["$ make dev\n"]
    files = {name for language, block in BLOCKS if language == "python" and (name := _name(block))}
    assert len(files) == sum(language == "python" for language, _ in BLOCKS)
    script = "".join(block for language, block in BLOCKS if language == "sh")
    assert all(f"python {name}" in script for name in files)


@pytest.mark.processes
@pytest.mark.timeout(900)
async def test_the_day_happens_as_told(shop: Shop, tmp_path: Path) -> None:
    ready = {"api_url": shop.house.settings.public_url, "secret_key": shop.secret_key}
    (tmp_path / ".autodebit").mkdir()
    (tmp_path / ".autodebit" / "ready.json").write_text(json.dumps(ready))
    port = str(free_port())
    for language, block in BLOCKS:
        if language == "python":
            (tmp_path / str(_name(block))).write_text(_PORT.sub(port, block))
    script = "".join(block for language, block in BLOCKS if language == "sh")
    out = await _run(_PORT.sub(port, script), tmp_path)

    for said in (
        "antom GCASH",
        "cycle 1: PHP 49900, due 2027-01-31T01:00:00Z",
        "cycle 2: PHP 49900, due 2027-02-28T01:00:00Z",
        '"date":"2027-03-31"',
        "partially_refunded",
        "paused\nactive\n",
        "cycle 3: skipped",
        "Ana Cruz (cus-7) pays PHP 499.00 every month by GCASH",
        '"code": "state_conflict"',
        "3 skipped 2027-03-31T01:00:00Z",
        "state_conflict: ",
    ):
        assert said in out, out
    first, again = re.findall(r'^{"requested_at".*$', out, re.MULTILINE)
    assert first == again
    await _both_days_were_whole(shop, tmp_path, out)


async def _both_days_were_whole(shop: Shop, folder: Path, out: str) -> None:
    """Both agreements went the same way, and every event reached the receiver as the description says."""
    received = [json.loads(line) for line in (folder / "received.jsonl").read_text().splitlines()]
    house = shop.house
    description = Description(create_app(house.settings, house.database, house.vault, house.temporal).openapi())
    for event in received:
        webhook = description.schema["webhooks"][event["type"]]["post"]["requestBody"]["content"]["application/json"]
        assert description.flaws(webhook["schema"], event) == [], event["type"]
    agreements = (await shop.call("GET", "/v1/agreements"))["data"]
    assert {agreement["reference"] for agreement in agreements} == {"sub-1001", "sub-1002"}
    for agreement in agreements:
        assert agreement["status"] == "revoked"
        charges = await shop.charges(agreement["id"])
        assert [charge["status"] for charge in charges if charge["cycle"] in (1, 2, 3, 4)].count("skipped") == 1
        types = [event["type"] for event in await shop.events(agreement["id"])]
        for type_ in ("agreement.paused", "agreement.resumed", "refund.succeeded", "card_change.completed"):
            assert types.count(type_) == 1
        assert types.count("charge.succeeded") == 3
        assert f"{len(types)} {types[-1]}\n" in out
    [first] = [agreement["id"] for agreement in agreements if agreement["reference"] == "sub-1001"]
    heard = {event["id"] for event in received}
    assert {event["id"] for event in await shop.events(first)} <= heard


async def _run(script: str, folder: Path) -> str:
    program = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}",
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out = (await program.communicate())[0].decode()
    assert program.returncode == 0, out
    return out


def _name(block: str) -> str | None:
    found = _NAME.match(block)
    return found[1] if found else None
