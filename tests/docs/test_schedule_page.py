"""docs/schedule.md names every rule that can act on a date, and its example is what the code answers."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

from agreements.problems import problems
from agreements.schedule import DateRule, Plan, planned
from agreements.terms import Terms

PAGE = Path(__file__).parents[2] / "docs" / "schedule.md"


def test_the_table_names_every_rule_in_the_order_they_act() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == [rule.value for rule in DateRule]


def test_the_example_is_what_the_code_answers() -> None:
    assert example() in PAGE.read_text(encoding="utf-8")


def example() -> str:
    """The dates of the page's example, as its table shows them."""
    terms = Terms.model_validate(
        {
            "type": "recurring",
            "amount": {"currency": "PHP", "value": 49900},
            "frequency": "monthly",
            "cycle_interval_days": 25,
            "payment_processing_day": 31,
            "start_date": "2027-01-31",
            "expiry_date": "2028-12-31",
            "total_cycles": 12,
            "timezone": "Asia/Manila",
            "debit_window_minutes": 60,
            "business_days": {"calendar": "PH", "roll": "following"},
        }
    )
    assert terms.start_date
    assert problems(terms, terms.start_date) == []
    lines = [
        f"| {line.cycle} | {line.date} | {line.due_at.astimezone(ZoneInfo('Asia/Manila')):%Y-%m-%d %H:%M:%S} |"
        f" {', '.join(f'`{rule}`' for rule in line.rules)} |"
        for line in planned(Plan(terms, "agr_1"), 1, 4)
    ]
    return "\n".join(["| cycle | date | due, in Manila | rules |", "|---|---|---|---|", *lines])
