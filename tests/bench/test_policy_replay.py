"""A policy tried on the mix and on what the database recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agreements import rulebook
from agreements.policies import RetryPolicy, resolve
from bench import mix, plans, recorded, report
from bench.recorded import Replayed
from cli.main import app
from tests.support.house import House, Shop

BOOK = rulebook.current()
NO_RETRIES: dict[str, Any] = {
    "ladders": {
        category: {"steps": []}
        for category in ("insufficient_funds", "limit_exceeded", "do_not_honor", "issuer_unavailable")
    }
}


def on_mix(policy: str) -> dict[str, Any]:
    path = str(resources.files("bench") / "decline_mix.toml")
    done = CliRunner().invoke(
        app, ["rulebook", "replay", "--policy", policy, "--mix", path, "--cases", "300", "--seed", "9", "--json"]
    )
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_policy_without_retries_recovers_what_a_refresh_recovers(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    file.write_text(json.dumps(NO_RETRIES))
    found, standard = on_mix(str(file)), on_mix("standard")
    assert found["attempts"] < found["declined_cycles"] * 1.2
    assert found["recovered"] < standard["recovered"] == standard["standard_recovers"]


def test_a_policy_that_breaks_a_schemes_rule_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "greedy.toml"
    file.write_text("window_days = 31\n")
    done = CliRunner().invoke(app, ["rulebook", "replay", "--policy", str(file)])
    assert done.exit_code == 2


def test_without_records_or_mix_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTODEBIT_DATABASE_URL", raising=False)
    assert CliRunner().invoke(app, ["rulebook", "replay", "--policy", "standard"]).exit_code == 2


async def tried(house: House, agreement: str, policy: RetryPolicy) -> Replayed:
    past = await recorded.read(house.database, BOOK, policy, datetime(2027, 1, 1, tzinfo=UTC))
    mine = [each for each in past if each.contract.id == agreement]
    return recorded.compare(mine, plans.PolicyPlan(policy, BOOK, ""), mix.load(), BOOK)


async def test_recorded_declines_are_compared_with_what_the_policy_would_do(house: House, shop: Shop) -> None:
    """One cycle declined once and then paid: the policy it ran under makes the same of it, no retries lose it."""
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, script="insufficient_funds,success", terms={"total_cycles": 1})
    await shop.advance(clock, "2027-02-27T00:00:00Z")
    standard = resolve("standard", BOOK, report.ON)
    same = await tried(house, agreement, standard)
    assert (same.compared, same.recovered, same.attempts) == (1, 1, 2)
    assert (same.expected_recovered, same.expected_attempts) == pytest.approx((1, 2))

    without = await tried(house, agreement, resolve(NO_RETRIES, BOOK, report.ON))
    assert (without.expected_recovered, without.expected_attempts) == pytest.approx((0, 1))


async def test_what_only_the_customer_could_heal_is_left_out(house: House, shop: Shop) -> None:
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, script="closed_account", terms={"total_cycles": 1})
    await shop.advance(clock, "2027-05-01T00:00:00Z")
    found = await tried(house, agreement, resolve("standard", BOOK, report.ON))
    assert (found.by_others, found.compared) == (1, 0)
