"""A small simulation is sound, repeatable, and does what the large one is run for."""

from __future__ import annotations

import json
from random import Random

import pytest
from typer.testing import CliRunner

from agreements import rulebook
from agreements.status import Stop
from bench import lifecycle, mix
from bench.engine import Crash, Tally
from bench.model_provider import Faults
from bench.report import ON
from bench.running import Outcome, Run, simulate
from bench.simulation import Conditions, Household
from cli.main import app

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(Run(cycles=3_000, seed=11), jobs=1)


def test_what_must_never_happen_does_not(outcome: Outcome) -> None:
    assert outcome.sound, outcome.result["examples"]
    assert outcome.result["cycles"] == 3_000


def test_the_run_meets_what_it_is_run_for(outcome: Outcome) -> None:
    """Faults, crashes and budgets occur: an audit of a quiet world would prove nothing."""
    result = outcome.result
    assert result["crashes"] > 0
    assert result["steps_by_kind"]["inquire"] > 0
    assert result["steps_by_kind"]["refresh"] > 0
    assert result["decisions"]["insufficient_funds_ladder"] > 0
    assert 0 < result["recovered"] < result["declined_at_first"] < result["cycles"]


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes(outcome: Outcome) -> None:
    again = simulate(Run(cycles=3_000, seed=11), jobs=2)
    assert json.dumps(again.result) == json.dumps(outcome.result)


def test_a_transaction_that_dies_leaves_the_rows_alone_that_a_step_under_way_holds() -> None:
    book = rulebook.current()
    dies = Conditions(book.policies(ON)["standard"], Faults(0, 0, 0), 1.0, mix.load(), book)
    household = Household(Random(1), "h", dies, 60, Tally())
    [(id_, row), *_] = household.engine.rows.items()
    with pytest.raises(Crash), household.engine.change(id_, household.promises[0].due[1]) as change:
        lifecycle.pause(change)
    assert household.engine.rows[id_] is row
    assert row.stop is Stop.NONE


def test_another_seed_gives_another_run() -> None:
    one, other = (simulate(Run(cycles=200, seed=seed), jobs=1).result for seed in (1, 2))
    assert one["steps"] != other["steps"]


def test_the_command_prints_the_result() -> None:
    done = CliRunner().invoke(app, ["bench", "simulate", "--cycles", "200", "--seed", "5", "--jobs", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["result"] == simulate(Run(cycles=200, seed=5), jobs=1).result


def test_an_unknown_policy_is_refused() -> None:
    done = CliRunner().invoke(app, ["bench", "simulate", "--cycles", "200", "--policy", "greedy", "--jobs", "1"])
    assert done.exit_code == 2
