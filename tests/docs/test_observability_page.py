"""docs/observability.md lists what there is, and the alerts ask for nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from telemetry.backlog import ALL
from tests.docs.observability_page import PAGE, counted, tables, with_tables

DASHBOARD = PAGE.parent / "dashboards" / "autodebit.json"
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


def assert_known(expression: str) -> None:
    """Every name, and every label something is selected by."""
    assert set(_NAMES.findall(expression)) <= told().keys()
    assert set(re.findall(r"\btemporal_\w+", expression)) <= _SDK
    for name, selected in re.findall(r"(autodebit_\w+)\{(.*?)\}", expression):
        assert set(re.findall(r"(\w+)(?==)", re.sub(r'"[^"]*"', "", selected))) <= told()[name]


def test_the_tables_are_the_metrics_and_the_invariants() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(table in page for table in tables()), "run: python -m tests.docs.observability_page"
    assert with_tables(page) == page


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_there_are(rule: dict[str, Any]) -> None:
    assert _NAMES.search(rule["expr"]) or "temporal_" in rule["expr"]
    assert_known(rule["expr"])


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_read_what_to_do(rule: dict[str, Any]) -> None:
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/observability.md#{rule['alert'].lower()}"
    assert rule["alert"] in headings
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_an_alert_by_share_has_a_floor_in_numbers_and_none_of_money_is_about_test_mode() -> None:
    """So that one failure in the night is not 100 %, and no merchant's trials wake anybody."""
    rules = {rule["alert"]: rule["expr"] for rule in alerts()}
    by_share = {name for name, expression in rules.items() if " / " in expression}
    assert by_share == {"AutodebitGatewayUnanswered", "AutodebitApprovalsFell", "AutodebitApiErrors"}
    assert all(re.search(r"and sum.*\(increase\(.*> \d", rules[name]) for name in by_share)
    for expression in rules.values():
        for name, selected in re.findall(r"(autodebit_\w+)(\{.*?\})?", expression):
            assert "mode" not in told()[name] or 'mode="live"' in selected


def test_every_runbook_entry_is_of_an_alert() -> None:
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in alerts()]


def test_the_dashboard_shows_metrics_and_labels_there_are() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert all(_NAMES.search(expression) or "temporal_" in expression for expression in expressions)
    for expression in expressions:
        assert_known(expression)
