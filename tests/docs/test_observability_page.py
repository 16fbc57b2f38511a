"""docs/observability.md lists what there is, and the alerts ask for nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from telemetry.backlog import ALL
from tests.docs.observability_page import PAGE, counted, tables, with_tables

RULES = PAGE.parent / "alerts" / "autodebit.rules.yml"
_NAMES = re.compile(r"\bautodebit_\w+")
_SDK = {"temporal_workflow_task_execution_failed_total", "temporal_activity_schedule_to_start_latency_seconds_bucket"}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def told() -> dict[str, set[str]]:
    """Every name a scrape may hold, with its labels."""
    names = {"autodebit_database_up": set[str]()}
    for name, labels, _ in counted():
        parts = ("",) if name.endswith("_total") else ("_bucket", "_count", "_sum")
        names |= {f"{name}{part}": {*labels, *(["le"] if part == "_bucket" else [])} for part in parts}
    for question in ALL:
        names |= {f"autodebit_{question.name}{part}": set(question.labels) for part in ("", "_oldest_seconds")}
    return names


def test_the_tables_are_the_metrics_and_the_invariants() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(table in page for table in tables()), "run: python -m tests.docs.observability_page"
    assert with_tables(page) == page


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_there_are(rule: dict[str, Any]) -> None:
    names = set(_NAMES.findall(rule["expr"]))
    assert names <= told().keys()
    assert set(re.findall(r"\btemporal_\w+", rule["expr"])) <= _SDK
    for name, selected in re.findall(r"(autodebit_\w+)\{(.*?)\}", rule["expr"]):
        assert set(re.findall(r"(\w+)(?==)", re.sub(r'"[^"]*"', "", selected))) <= told()[name]
    assert names or "temporal_" in rule["expr"]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_read_what_to_do(rule: dict[str, Any]) -> None:
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/observability.md#{rule['alert'].lower()}"
    assert rule["alert"] in headings
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_runbook_entry_is_of_an_alert() -> None:
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in alerts()]


@pytest.mark.parametrize("path", sorted(PAGE.parent.rglob("*.json")), ids=lambda path: path.name)
def test_a_dashboard_shows_metrics_there_are(path: Any) -> None:
    assert set(_NAMES.findall(path.read_text(encoding="utf-8"))) <= told().keys()
