"""`autodebit rulebook` lists, compares and checks; processes refuse a rulebook they cannot use."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agreements import rulebook
from cli.main import app
from tests.agreements import rulebook_folders
from tests.agreements.rulebook_folders import line_of, put

VERSION = rulebook.load().version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return rulebook_folders.copy(tmp_path)


def run(*arguments: str | Path, **variables: str) -> Result:
    return CliRunner().invoke(app, ["rulebook", *map(str, arguments)], env={"COLUMNS": "200", **variables})


def answer(*arguments: str | Path, **variables: str) -> dict[str, Any]:
    result = run(*arguments, "--json", **variables)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


class TestShow:
    def test_a_rule_stands_with_its_source_and_how_sure_it_is(self) -> None:
        result = run("show", "networks", "--on", "2027-01-15")
        assert result.exit_code == 0
        [row] = [line for line in result.stdout.splitlines() if "visa.blocked_by_cardholder" in line]
        assert "2025-04-11" in row
        assert "payment-rules §2.1" in row
        assert "M-H" in row
        assert f"rulebook {VERSION}" in result.stdout

    def test_only_what_is_in_force_on_the_day(self) -> None:
        def budgets(on: str) -> set[str]:
            return {rule["id"] for rule in answer("show", "budget_rules", "--on", on)["rules"]["budget_rules"]}

        assert "visa.reattempts_2020" in budgets("2026-03-03")
        assert budgets("2026-03-04") == budgets("2026-03-03") - {"visa.reattempts_2020"} | {"visa.reattempts"}

    def test_declines_are_those_of_every_gateway(self) -> None:
        rules = answer("show", "declines")["rules"]
        assert rules.keys() == {"declines.antom", "declines.ottu", "declines.pivot"}
        assert answer("show", "declines.ottu")["rules"].keys() == {"declines.ottu"}

    def test_the_folder_of_the_setting_is_shown(self, folder: Path) -> None:
        put(folder / "manifest.toml", VERSION.partition("+")[0], "2031-01.1")
        assert answer("show", AUTODEBIT_RULEBOOK=str(folder))["version"].startswith("2031-01.1+")

    def test_an_unknown_part_is_refused(self) -> None:
        result = run("show", "weather")
        assert result.exit_code == 2
        assert "budget_rules" in result.output


class TestDiff:
    def test_a_copy_does_not_differ(self, folder: Path) -> None:
        assert "No rule differs." in run("diff", folder).stdout
        assert answer("diff", folder, folder)["changes"] == []

    def test_added_removed_and_changed_rules_are_told_by_field(self, folder: Path) -> None:
        old = Path(shutil.copytree(folder, folder.parent / "old"))
        put(folder / "visa.toml", "floor_hours = 1\n", "floor_hours = 2\n")
        put(folder / "mastercard.toml", 'id = "mastercard.42_unverified"', 'id = "mastercard.42_sanctions"')
        assert answer("diff", old, folder)["changes"] == [
            {"id": "mastercard.42_sanctions", "change": "added", "fields": {}},
            {"id": "mastercard.42_unverified", "change": "removed", "fields": {}},
            {"id": "visa.reenter", "change": "changed", "fields": {"floor_hours": [1.0, 2.0]}},
        ]
        said = run("diff", old, folder).stdout
        assert "changed visa.reenter\n    floor_hours: 1.0 -> 2.0" in said

    def test_against_the_shipped_one_by_default(self, folder: Path) -> None:
        put(folder / "visa.toml", "floor_hours = 1\n", "floor_hours = 2\n")
        found = answer("diff", folder)
        assert found["new"] == VERSION
        assert found["changes"][0]["fields"] == {"floor_hours": [2.0, 1.0]}


class TestCheck:
    def test_the_shipped_one_is_right(self) -> None:
        result = run("check")
        assert (result.exit_code, VERSION in result.stdout) == (0, True)

    def test_a_flaw_is_named_by_file_line_and_reason(self, folder: Path) -> None:
        put(folder / "visa.toml", 'action = "revoke"', 'action = "stop"')
        result = run("check", folder)
        assert result.exit_code == 1
        line = line_of(folder / "visa.toml", 'action = "stop"')
        assert result.stderr.startswith(f"visa.toml:{line}: action: ")
        assert run("diff", folder).exit_code == 1


@pytest.mark.parametrize("command", ["api", "worker"])
def test_a_process_does_not_start_by_a_wrong_rulebook(folder: Path, command: str) -> None:
    put(folder / "paydays.toml", "days = [10, 25]", "days = [10, 52]")
    line = line_of(folder / "paydays.toml", "days = [10, 52]")
    settings = {
        "AUTODEBIT_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:9/none",
        "AUTODEBIT_TEMPORAL_ADDRESS": "127.0.0.1:9",
        "AUTODEBIT_VAULT_KEYS": "unused",
        "AUTODEBIT_VAULT_HASH_KEY": "unused",
        "AUTODEBIT_RULEBOOK": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", command],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith(f"paydays.toml:{line}: days")
