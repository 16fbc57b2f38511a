"""The retry report says what the shipped mix and policies give, and the shipped policy is as good as it says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from agreements import rulebook
from bench import mix, report
from bench.replay import Score, declined_cycles

PAGE = (Path(__file__).parents[2] / "docs" / "retry-report.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    recovered: float
    attempts: float
    hard_retries: int


def _rows() -> dict[str, Row]:
    table = PAGE.partition("| plan | what it does |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0].strip("`"): Row(float(row[2].rstrip("%")) / 100, float(row[3]), int(row[4])) for row in rows}


ROWS = _rows()


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    return {score.plan.name: score for score in report.scores(cases=1_500, seed=77)}


def test_the_page_was_written_from_the_shipped_mix_and_policies() -> None:
    assert f"basis `{report.basis()}`" in PAGE, "autodebit bench report"


def test_other_seeds_give_the_pages_figures(scores: dict[str, Score]) -> None:
    """The standard error of 1,500 shares is 1.3 points; 5 are more than three of them."""
    assert scores.keys() == ROWS.keys()
    for name, score in scores.items():
        assert score.recovery == pytest.approx(ROWS[name].recovered, abs=0.05)
        assert score.attempts == pytest.approx(ROWS[name].attempts, abs=0.35)


@pytest.mark.parametrize("other", ["stripe-like", "yuno", "daily"])
def test_standard_recovers_as_much_as_what_others_do_with_no_more_attempts(other: str) -> None:
    assert ROWS["standard"].recovered >= ROWS[other].recovered
    assert ROWS["standard"].attempts <= ROWS[other].attempts


def test_nobody_tries_again_what_a_network_forbids(scores: dict[str, Score]) -> None:
    assert {score.hard_retries for score in scores.values()} == {0}
    assert {row.hard_retries for row in ROWS.values()} == {0}


def test_our_policies_keep_every_wait_a_network_asks_for(scores: dict[str, Score]) -> None:
    assert [scores[name].too_early for name in ("standard", "gentle", "persistent")] == [0, 0, 0]


def test_every_assumption_of_the_mix_is_on_the_page() -> None:
    shipped = mix.load()
    for cause in shipped.cause:
        assert f"`{cause.name}`" in PAGE
        assert cause.source in PAGE


def test_the_same_case_is_the_same_for_everybody() -> None:
    book = rulebook.current()
    policy = book.policies(report.ON)["standard"]
    one, other = (list(declined_cycles(mix.load(), book, policy, 5, seed=3)) for _ in range(2))
    assert [(each.due, each.trouble) for each in one] == [(each.due, each.trouble) for each in other]
