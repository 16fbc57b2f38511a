"""The pages of figures are written from what was measured, and reckon as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import pages, scale, svg

DOCS = Path(__file__).parents[2] / "docs"

CPU = {"worker": 20.0, "postgres": 10.0, "temporal": 15.0, "api": 5.0, "sandbox": 4.0}
DELAYS = {"count": 600, "median": 20.0, "longest": 41.0}
ROUND = {"count": 300, "seconds": 10.0, "curve": [5.0, 10.0], "cpu": CPU}
FIGURES: dict[str, Any] = {
    "made": {
        "at": "2027-01-01T09:00+00:00",
        "version": "9.9.9",
        "python": "3.11.7",
        "temporalio": "1.35.0",
        "cores": 2,
        "plan": {"standing": 100_000, "rounds": 1, "herd": 300},
    },
    "front_door": {
        "agreements": 100_000,
        "requests": 1_000,
        "at_once": 4,
        "latency": [
            {
                "request": "GET /v1/agreements/{id}",
                "ours_ms": {"p50": 6.0, "p99": 9.0},
                "bare_ms": {"p50": 3.0, "p99": 6.0},
                "ratio_p50": 2.0,
                "ratio_p99": 1.5,
            }
        ],
    },
    "collecting": {
        "rounds": [
            {**ROUND, "side": side, "per_second": rate} for side, rate in zip(pages.SIDES, (50, 45, 20), strict=True)
        ],
        "ratios": {
            "engine": {"median": 0.9, "least": 0.9, "most": 0.9},
            "engine_with_webhooks": {"median": 0.4, "least": 0.4, "most": 0.4},
        },
        "cpu_ms_per_cycle": {"engine": CPU, "engine_with_webhooks": CPU, "bare_loop": {"temporal": 12.0}},
    },
    "history": {
        "engine": {
            "usual": ["timer_started"] * 10,
            "clean_share": 0.97,
            "most_events": 22,
            "actions": {"timer started": 1, "activity started": 1, "search attributes written": 1},
            "bytes": 2_000,
            "transitions": 6,
        },
        "bare_loop": {"usual": ["timer_started"] * 11, "clean_share": 1.0, "most_events": 11, "actions": {}},
    },
    "worker_profile": {
        "samples": 1_000,
        "packages": {"sqlalchemy": 0.5},
        "own": {},
        "within": {"store/x.py:y": 0.3},
        "per_debit": {},
    },
    "spikes": [
        {
            "limit": 45,
            "handed_out": 15.0,
            "most": 45,
            "seconds": 41.0,
            "behind": 10.0,
            "keyed": True,
            "large": DELAYS,
            "small": DELAYS,
            "curve": [20.0, 41.0],
        },
        {
            "limit": 45,
            "handed_out": 15.0,
            "most": 45,
            "seconds": 41.0,
            "behind": 10.0,
            "keyed": False,
            "large": DELAYS,
            "small": DELAYS,
            "curve": [20.0, 41.0],
        },
    ],
    "footprint": {
        "at_rest_bytes": {"agreements": 1_000.0, "credentials": 500.0},
        "per_cycle": {
            "rows": {"attempts": 1.0, "deliveries": 1.0},
            "bytes": {"attempts": 600.0, "deliveries": 400.0},
            "log_bytes": 5_000,
        },
    },
}


def results(rows: list[scale.Row]) -> dict[str, str]:
    return {what: result for what, _, result in rows}


def test_the_pages_say_what_the_kept_figures_say() -> None:
    kept = DOCS / pages.KEPT
    figures: Any = json.loads(kept.read_text()) if kept.exists() else None
    for name in pages.PAGES:
        page = (DOCS / name).read_text()
        if figures is None:
            assert page.count("-->\n<!-- end -->") == page.count("<!-- end -->"), "figures that nobody measured"
        else:
            assert pages.filled(page, figures) == page, (
                "run: autodebit bench pages --from docs/performance/figures.json"
            )
    for name, plot in pages.PLOTS.items() if figures is not None else ():
        assert (kept.parent / f"{name}.svg").read_text() == plot(figures)


def test_every_section_stands_on_a_page_and_every_marker_is_filled(tmp_path: Path) -> None:
    for name in pages.PAGES:
        (tmp_path / name).write_text((DOCS / name).read_text())
    written = pages.keep(tmp_path, FIGURES)
    words = "".join((tmp_path / name).read_text() for name in pages.PAGES)
    for name in pages.SECTIONS:
        assert f"<!-- figures: {name} -->\n\n" in words, name
    for name in pages.PLOTS:
        assert tmp_path / "performance" / f"{name}.svg" in written
        assert f"performance/{name}.svg" in words, name
    assert pages.keep(tmp_path, FIGURES) == written
    assert words == "".join((tmp_path / name).read_text() for name in pages.PAGES), "written twice is written once"


def test_a_marker_nobody_fills_is_an_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        pages.filled("<!-- figures: nonsense -->\n<!-- end -->", FIGURES)


def test_a_page_says_which_goals_were_missed() -> None:
    said = pages.SECTIONS["collecting"](FIGURES)
    assert "≥ 0.8: reached" in said
    assert "≥ 0.5: missed" in said
    assert "goal ≤ 12: reached" in pages.SECTIONS["history"](FIGURES)
    exceeded = {**FIGURES, "spikes": [{**FIGURES["spikes"][0], "most": 46}]}
    assert "never exceeded" in pages.SECTIONS["spike"](FIGURES)
    assert "**exceeded**" in pages.SECTIONS["spike"](exceeded)


def test_prices_go_down_step_by_step_as_in_temporals_own_example() -> None:
    """11.25 million actions cost $250 + $225 + $50 (docs.temporal.io/evaluate/cloud/pricing)."""
    assert scale.tiered(11.25) == (525, 0)
    assert scale.tiered(250) == (250 + 225 + 400 + 1050 + 1500 + 2500, 50)


def test_ten_million_on_the_first_within_an_hour() -> None:
    # 10 000 000 / 3600 s = 2777.8/s; of 50 ms each, at 60 % busy: 231.5 cores
    assert results(scale.rates(FIGURES))["within one hour"] == "2,777.8 debits/s, 232 cores"
    # a worker needs 20 ms of CPU per debit: 92.6 of them; 2778 calls wait a second, 50 in each worker: 56
    found = results(scale.connections(FIGURES, scale.ONE_HOUR, at_once=50, pool=20))
    assert (found["workers, by CPU"], found["workers, by waiting"]) == ("93", "56")
    assert found["connections"] == f"{(93 + 24) * 20:,}"


def test_the_actions_of_a_month_are_those_of_one_cycle_with_its_webhook() -> None:
    # timer, activity, upsert, webhook, and a 40th of a new run (10 events of 400); a tenth more for fairness
    assert scale.actions(FIGURES) == pytest.approx((4 + 1 / 40) * 1.1)
    assert results(scale.database(FIGURES, scale.ONE_HOUR))["growth a month"] == "10.0 GB"
    # 40 cycles of 2 kB before a history is rolled over: 40 kB on average
    assert results(scale.temporal(FIGURES))["all open histories"] == "400.0 GB"


def test_plots_are_well_formed_and_hold_what_they_show() -> None:
    plots = [
        svg.bars("a < b", [("one & two", 12.5)], "/s", {"one & two": [10, 15]}),
        svg.stacked("parts", {"engine": {"worker": 3, "api": 1}, "bare": {"worker": 2}}, "ms"),
        svg.curves("lines", {"x": [(0, 0), (2, 100)]}, "s", "%"),
    ]
    texts = ["".join(ElementTree.fromstring(plot).itertext()) for plot in plots]  # noqa: S314 (our own)
    assert "12.5 /s" in texts[0]
    assert "worker: 3.00 ms" in texts[1]
    assert "4.00 ms" in texts[1]
    assert "100" in texts[2]
