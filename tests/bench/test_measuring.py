"""The arithmetic of the benches: what is counted, what counts as wrong, and what a history says."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench import collecting, footprint, processes
from bench.collecting import BARE, ENGINE, WITH_WEBHOOKS, Round
from bench.footprint import Reading
from bench.herd import Herd
from bench.histories import Cycle, NotAtRest, Size, rested_before, summary
from bench.provider import Debit, WrongCount, most_in_one_second, one_each
from bench.statements import kind

DUE = datetime(2027, 1, 1, 9, tzinfo=UTC)


def at(*seconds: float) -> list[datetime]:
    return [DUE + timedelta(seconds=each) for each in seconds]


def debit(order: str, second: float = 0, *, succeeded: bool = True) -> Debit:
    return Debit(order, DUE + timedelta(seconds=second), succeeded)


def test_the_worst_second_is_found_wherever_it_begins() -> None:
    assert most_in_one_second([]) == 0
    assert most_in_one_second(at(0.9, 1.0, 1.1, 1.89, 5)) == 4
    assert most_in_one_second(at(0, 1, 2)) == 1, "a whole second later is another window"


def test_one_debit_for_each_order_is_right_and_anything_else_is_wrong() -> None:
    seen = [debit("b", 2), debit("somebody else's"), debit("a", 1)]
    assert [found.order for found in one_each(["a", "b"], seen)] == ["a", "b"]
    with pytest.raises(WrongCount, match=r"1 of 2 .* b: 0"):
        one_each(["a", "b"], [debit("a")])
    with pytest.raises(WrongCount, match=r"1 of 2 .* a: 2"):
        one_each(["a", "b"], [debit("a"), debit("a", 1), debit("b")])
    with pytest.raises(WrongCount, match="did not succeed"):
        one_each(["a"], [debit("a", succeeded=False)])


def test_a_curve_tells_when_each_share_had_come() -> None:
    assert collecting.curve(DUE, at(4, 1, 3, 2), points=2) == [2, 4]
    assert collecting.curve(DUE, at(1), points=4) == [1, 1, 1, 1]


def test_throughput_is_compared_by_medians_and_spread_by_extremes() -> None:
    def rounds(side: str, *seconds: float) -> list[Round]:
        return [Round(side, 100, each, [], {}) for each in seconds]

    found = collecting.ratios(rounds(BARE, 1, 2, 4) + rounds(ENGINE, 2, 2.5, 5) + rounds(WITH_WEBHOOKS, 4, 5, 10))
    # per second: bare 100, 50, 25; engine 50, 40, 20; with webhooks 25, 20, 10
    assert found[ENGINE] == {"median": 0.8, "least": 0.2, "most": 2.0}
    assert found[WITH_WEBHOOKS] == {"median": 0.4, "least": 0.1, "most": 1.0}


def test_a_herds_ids_are_as_long_as_real_ones_and_lead_to_its_orders() -> None:
    herd = Herd("a1", 2, DUE)
    assert [len(id_) for id_ in herd.ids] == [30, 30]
    assert herd.orders == [f"{id_}-c1" for id_ in herd.ids]


KINDS = {
    "timer": EventType.EVENT_TYPE_TIMER_STARTED,
    "fired": EventType.EVENT_TYPE_TIMER_FIRED,
    "activity": EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    "tried": EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
    "upsert": EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    "signal": EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    "begun": EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
}


def history(*words: str, attempt: int = 1) -> list[HistoryEvent]:
    """One event a second."""
    events = [HistoryEvent(event_id=n, event_type=KINDS[word]) for n, word in enumerate(words, 1)]
    for n, event in enumerate(events):
        event.event_time.FromDatetime(DUE + timedelta(seconds=n))
        if event.event_type == KINDS["tried"]:
            event.activity_task_started_event_attributes.attempt = attempt
    return events


def test_a_cycle_is_what_lies_between_two_rests() -> None:
    cycle = Cycle.of(history("begun", "upsert", "timer", "fired", "activity", "tried", "upsert", "timer", "fired"))
    assert cycle is not None
    assert (cycle.rested_at, cycle.over_at) == tuple(at(2, 7))
    assert [event.partition("_")[0] for event in cycle.events] == ["timer", "activity", "activity", "upsert", "timer"]
    assert cycle.actions == {"activity started": 1, "search attributes written": 1, "timer started": 1}
    assert Cycle.of(history("begun", "timer", "fired", "activity")) is None


def test_clean_cycles_are_told_apart_from_those_that_met_news() -> None:
    clean = Cycle.of(history("timer", "fired", "activity", "tried", "timer"))
    met_news = Cycle.of(history("timer", "fired", "activity", "tried", "signal", "activity", "tried", "timer"))
    assert clean is not None
    assert met_news is not None
    found = summary([(met_news, Size(7, 900, 9)), (clean, Size(4, 100, 5)), (met_news, None), (met_news, None)])
    assert (found["clean_share"], len(found["usual"]), found["most_events"]) == (0.25, 4, 7)
    assert (found["bytes"], found["transitions"]) == (100, 5)
    assert summary([(met_news, None)])["clean_share"] == 0


def test_who_was_not_at_rest_in_time_is_found() -> None:
    words = history("begun", "timer", "fired", "activity", "tried", "timer")
    assert rested_before(DUE + timedelta(seconds=2), words) == words
    assert rested_before(DUE, history("begun")), "it does not rest yet"
    with pytest.raises(NotAtRest):
        rested_before(DUE + timedelta(seconds=1), words)


def test_every_further_attempt_of_an_activity_is_billed() -> None:
    cycle = Cycle.of(history("timer", "fired", "activity", "tried", "timer", attempt=3))
    assert cycle is not None
    assert cycle.actions["activity retried"] == 2


def test_statements_are_counted_by_kind_and_first_table() -> None:
    assert (
        kind("SELECT a.id, (SELECT max(x) FROM (SELECT 1 FROM y)) FROM agreements JOIN charges ON true")
        == "select agreements"
    )
    assert kind("INSERT INTO attempts (id) SELECT x FROM y") == "insert attempts"
    assert kind("UPDATE agreements SET status = $1 FROM charges") == "update agreements"
    assert kind("select pg_advisory_xact_lock(1)") == "other"


def test_what_a_cycle_adds_leaves_out_tables_that_did_not_grow() -> None:
    before = Reading({"events": 10, "merchants": 3}, {"events": 8_192, "merchants": 8_192}, log=1_000)
    after = Reading({"events": 30, "merchants": 3}, {"events": 24_000, "merchants": 8_192}, log=21_000)
    assert footprint.per_cycle(before, after, 10) == {
        "rows": {"events": 2.0},
        "bytes": {"events": 1600.0},
        "log_bytes": 2000,
    }


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_process_answers_for_its_children_unless_they_answer_for_themselves() -> None:
    burn = (
        "import os, sys, time\nwhile time.process_time() < 0.15: pass\nprint(os.getpid(), flush=True); sys.stdin.read()"
    )
    start = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    # Both wait, once the child has told its id: what is used stands still while it is read twice.
    with subprocess.Popen(
        [sys.executable, "-c", start, burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        together = processes.cpu_seconds({"parent": parent.pid})["parent"]
        apart = processes.cpu_seconds({"parent": parent.pid, "child": child})
        parent.communicate()
    assert apart["child"] >= 0.1
    assert together - apart["parent"] == pytest.approx(apart["child"], abs=0.03)
