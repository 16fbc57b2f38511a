"""docs/retries.md says what the code does."""

from pathlib import Path

from agreements.declines import DeclineCategory
from agreements.retries import RULEBOOK_VERSION, STANDARD
from tests.agreements.test_retries import decided

PAGE = (Path(__file__).parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]


def test_every_category_stands_beside_its_rule() -> None:
    for category in DeclineCategory:
        decision = decided(category)
        [row] = [row for row in ROWS if row[0].startswith(f"`{category}`") and "can be refreshed" not in row[0]]
        assert f"`{decision.rule}`" in row
        if ladder := STANDARD.ladders.get(category):
            assert row[2] == str(ladder.steps + 1)
            assert row[1].count(",") == ladder.steps - 1
        else:
            assert f"`{decision.action}`" in row[1]


def test_the_figures_over_all_ladders() -> None:
    assert f"`{RULEBOOK_VERSION}`" in PAGE
    assert f"{STANDARD.max_attempts} attempts per charge" in PAGE
    assert f"at most {STANDARD.window.days} days" in PAGE
