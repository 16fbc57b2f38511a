"""What answers about a declaration at customs mean (gateways/antom.md §3.9, §3.10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.attempts import Verdict
from agreements.declarations import GIVES_UP_AFTER, DeclarationStatus, Progress, answered, sent

NOW = datetime(2027, 1, 31, 2, tzinfo=UTC)
FRESH = Progress(DeclarationStatus.PENDING, next_at=NOW)


def test_a_declaration_the_provider_took_is_asked_about_from_then_on() -> None:
    taken = answered(sent(FRESH, NOW), Verdict.PROCESSING, NOW)
    assert (taken.status, taken.accepted) == (DeclarationStatus.PENDING, True)
    assert taken.next_at == NOW + timedelta(seconds=5)


def test_an_answer_that_says_nothing_has_it_sent_again() -> None:
    unheard = answered(sent(FRESH, NOW), Verdict.UNKNOWN, NOW)
    assert (unheard.status, unheard.accepted) == (DeclarationStatus.PENDING, False)
    assert unheard.next_at == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(Verdict.SUCCEEDED, DeclarationStatus.SUCCEEDED), (Verdict.DECLINED, DeclarationStatus.FAILED)],
)
def test_a_final_word_ends_it(verdict: Verdict, status: DeclarationStatus) -> None:
    ended = answered(sent(FRESH, NOW), verdict, NOW)
    assert (ended.status, ended.next_at) == (status, None)
    assert answered(ended, Verdict.PROCESSING, NOW) == ended


@given(st.lists(st.sampled_from([Verdict.PROCESSING, Verdict.UNKNOWN, Verdict.NOT_FOUND]), min_size=200, max_size=200))
def test_without_a_final_word_it_is_asked_for_a_month_and_not_more_than_four_times_a_day(words: list[Verdict]) -> None:
    progress, now, calls = FRESH, NOW, 0
    for word in words:
        if progress.next_at is None:
            break
        now, calls = progress.next_at, calls + 1
        progress = answered(sent(progress, now), word, now)
        assert progress.next_at is None or now < progress.next_at <= now + timedelta(hours=6)
    assert (progress.status, progress.next_at) == (DeclarationStatus.UNRESOLVED, None)
    assert GIVES_UP_AFTER - timedelta(hours=6) <= now - NOW <= GIVES_UP_AFTER
    assert calls <= 4 * GIVES_UP_AFTER.days + 20
