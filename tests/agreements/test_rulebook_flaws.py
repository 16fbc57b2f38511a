"""A wrong rulebook is refused, with file, line and reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agreements import rulebook
from agreements.rulebook import RulebookError
from tests.agreements import rulebook_folders
from tests.agreements.rulebook_folders import header_before, line_of, put

Place = Callable[[Path, str], int]

WRONG: list[tuple[str, str, str, Place | None, str]] = [
    (
        "visa.toml",
        'id = "visa.closed_account"',
        'id = "visa.lost_or_stolen"',
        lambda file, _: header_before(file, 'responses = ["46"]'),
        "already that of visa.toml:",
    ),
    ("visa.toml", 'responses = ["46"]', "responses = [46]", line_of, "valid string"),
    ("visa.toml", 'responses = ["46"]', 'responses = ["46"]\nretries = 3', line_of, "unknown field: retries"),
    ("visa.toml", 'responses = ["46"]', 'responses = ["41"]', header_before, "both in force for visa response 41"),
    ("visa.toml", 'responses = ["46"]', "floor_hours = 2", header_before, "about responses or about advices"),
    ("visa.toml", "until = 2026-03-03", "until = 2026-03-04", None, "both in force for visa"),
    ("visa.toml", "until = 2026-03-03", "until = 2019-12-31", header_before, "is before from 2020-01-01"),
    ("visa.toml", "until = 2026-03-03", "until = 2026-02-30", line_of, "nvalid date"),
    ("visa.toml", "until = 2026-03-03", 'until = "2026-03-03"', line_of, "valid date"),
    ("visa.toml", "from = 2020-01-01", "from = 2020-01-01T00:00:00", line_of, "valid date"),
    ("visa.toml", "published = 20", "published = 14", header_before, "above the published figure"),
    ("visa.toml", "[[budget]]", "[[budgets]]", line_of, "unknown table budgets"),
    ("visa.toml", 'action = "revoke"', 'action = "stop"', line_of, "action: "),
    ("visa.toml", 'action = "revoke"', "", None, "action: Field required"),
    ("visa.toml", 'action = "revoke"', 'action = "revoke', line_of, "llegal character"),
    ("declines/antom.toml", 'category = "limit_exceeded"', 'category = "poor"', line_of, "category: "),
    ("declines/antom.toml", 'then = "review"', "", None, "at_most and then come together"),
    ("declines/antom.toml", 'codes = ["*"]', 'codes = ["OTHER"]', None, "no rule for unlisted codes"),
    ("declines/ottu.toml", '"61", "65"', '"61", "51"', header_before, "both in force for pay 51"),
    ("rails.toml", "Asia/Kolkata", "Asia/Bombay2", line_of, "not an IANA time zone"),
    ("rails.toml", "start = 10:00:00", "start = 13:00:00", None, "start and end are the same"),
    ("notices.toml", 'rail = "in_e_mandate"', 'rail = "in_mandate"', header_before, "no rail in_mandate"),
    ("paydays.toml", '[25, "last"]', '[32, "last"]', line_of, "days"),
    ("policies.toml", "max_attempts = 12", "max_attempts = 16", None, "visa.reattempts"),
    ("policies.toml", "window_days = 28", "window_days = 31", None, "policy.window_of_the_budgets"),
    ("policies.toml", 'because = "visa.revoked"', 'because = "visa.revolt"', header_before, "no rule visa.revolt"),
    ("policies.toml", 'category = "risk"', 'category = "do_not_honor"', None, "has a ladder in every policy"),
    ("manifest.toml", 'version = "', 'version = "v', None, "version is missing"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return rulebook_folders.copy(tmp_path)


@pytest.mark.parametrize(("file", "old", "new", "place", "reason"), WRONG)
def test_a_flaw_is_named_by_file_line_and_reason(
    folder: Path, file: str, old: str, new: str, place: Place | None, reason: str
) -> None:
    put(folder / file, old, new)
    with pytest.raises(RulebookError) as refused:
        rulebook.load(folder)
    flaws = [flaw for flaw in refused.value.flaws if reason in flaw.reason]
    assert flaws, str(refused.value)
    assert flaws[0].file == file
    assert str(flaws[0]) in str(refused.value).splitlines()
    if place is not None:
        wanted = next(line for line in new.splitlines() if line not in old.splitlines())
        assert flaws[0].line == place(folder / file, wanted)


def test_all_flaws_are_named_at_once(folder: Path) -> None:
    put(folder / "visa.toml", 'action = "revoke"', 'action = "stop"')
    put(folder / "rails.toml", "max_tries = 4", "max_tries = 0")
    with pytest.raises(RulebookError) as refused:
        rulebook.load(folder)
    assert [flaw.file for flaw in refused.value.flaws] == ["rails.toml", "visa.toml"]


def test_a_default_is_refused_where_it_stands(folder: Path) -> None:
    put(folder / "paydays.toml", 'confidence = "L"', 'confidence = "sure"')
    with pytest.raises(RulebookError) as refused:
        rulebook.load(folder)
    assert {flaw.line for flaw in refused.value.flaws} == {line_of(folder / "paydays.toml", 'confidence = "sure"')}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulebookError, match="no such folder"):
        rulebook.load(tmp_path / "away")
