"""docs/retries.md says what the code and the rulebook do."""

from datetime import timedelta
from pathlib import Path

from agreements import rulebook
from agreements.declines import DeclineCategory
from agreements.policies import Step
from tests.agreements.test_retries import NOW, STANDARD, decided

BOOK = rulebook.load()
PAGE = (Path(__file__).parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]


def said(step: Step) -> str:
    if step.local_days is not None:
        return f"{step.local_days} local day" + "s" * (step.local_days > 1)
    if step.wait_hours is not None:
        return f"{step.wait_hours:g} hour" + "s" * (step.wait_hours != 1)
    return f"{step.earliest_hours:g}-{step.latest_hours:g} hours"


def test_every_category_stands_beside_its_rule() -> None:
    for category in DeclineCategory:
        decision = decided(category)
        [row] = [row for row in ROWS if row[0].startswith(f"`{category}`") and "can be refreshed" not in row[0]]
        assert f"`{decision.rule}`" in row
        if ladder := STANDARD.ladders.get(category):
            assert row[2] == str(len(ladder.steps) + 1)
            waits = row[1].removeprefix("at the debit time ").removesuffix(" later")
            assert waits == ", ".join(map(said, ladder.steps))
        else:
            assert f"`{decision.action}`" in row[1]


def test_the_figures_over_all_ladders() -> None:
    assert f"{STANDARD.max_attempts} attempts per charge" in PAGE
    assert f"at most {STANDARD.window.days} days" in PAGE
    assert f"they have {STANDARD.customer_days} days" in PAGE


def test_the_budgets() -> None:
    rows = {tuple(row) for row in ROWS if len(row) == 4 and row[3] in ("yes", "no")}
    assert rows == {
        (f"`{each.network}`", str(each.limit), str(each.window_hours), "yes" if each.same_amount else "no")
        for each in BOOK.every_budget(NOW.date())
    }


def test_the_waits_mastercard_advises() -> None:
    floors = [BOOK.network_rule("mastercard", None, str(code), NOW.date())[0].floor for code in range(24, 31)]
    *most, last = [str(floor // timedelta(hours=1)) for floor in floors if floor]
    assert f"mean {', '.join(most)} and {last} hours at least" in " ".join(PAGE.split())
