"""The audit sees what it is there for: sound households whose books are spoilt by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from agreements import rulebook
from bench import mix
from bench.audit import MUST_BE_ZERO, Findings, examine
from bench.engine import Tally
from bench.model_provider import Debit, Faults, Sent
from bench.report import ON
from bench.simulation import Conditions, Household

BOOK = rulebook.current()
QUIET = Conditions(BOOK.policies(ON)["standard"], Faults(0, 0, 0), 0, mix.load(), BOOK)


def lived(fits: Callable[[Household], bool]) -> Household:
    """The first household in a row of seeds that fits, run to its end."""
    for seed in range(400):
        household = Household(Random(seed), "h", QUIET, 60, Tally())
        household.run()
        if fits(household):
            return household
    raise AssertionError("no household fits")


def audited(household: Household) -> Findings:
    return examine(household.promises, household.engine.rows, household.provider, household.down, BOOK)


def debits(household: Household, final: str) -> list[Debit]:
    found = [debit for debit in household.provider.executed() if debit.final == final]
    return sorted(found, key=lambda debit: debit.at)


def refused_for_good(household: Household) -> list[Debit]:
    found = [debit for debit in debits(household, "failed") if debit.request.network]
    return [debit for debit in found if debit.trouble and debit.trouble.cause.never == "credential"]


def offences(findings: Findings) -> dict[str, int]:
    return {name: findings.counts[name] for name in MUST_BE_ZERO if findings.counts[name]}


def test_a_quiet_world_is_sound() -> None:
    assert offences(audited(lived(lambda household: len(debits(household, "succeeded")) > 3))) == {}


@pytest.mark.parametrize("given_back", [False, True])
def test_a_second_success_is_a_double_charge_even_when_it_was_given_back(given_back: bool) -> None:
    household = lived(lambda household: bool(debits(household, "succeeded")))
    first = debits(household, "succeeded")[0]
    again = replace(first, given_back_at=first.at + timedelta(minutes=1) if given_back else None)
    household.provider.debits[first.request.request_id].append(again)
    assert offences(audited(household)) == {"double_charges": 1}


def test_a_cycle_nobody_sent_is_missed_and_the_books_disagree() -> None:
    household = lived(lambda household: len(debits(household, "succeeded")) > 3)
    lost = debits(household, "succeeded")[2].request
    household.provider.wire = [sent for sent in household.provider.wire if sent.request.order != lost.order]
    for name in [name for name in household.provider.debits if name.startswith(f"{lost.order}-a")]:
        del household.provider.debits[name]
    assert offences(audited(household)) == {"missed_cycles": 1, "books_disagree": 1}


def test_a_try_after_a_refusal_for_good_is_seen() -> None:
    household = lived(lambda household: bool(refused_for_good(household)))
    dead = refused_for_good(household)[0]
    again = dead.request._replace(request_id=f"{dead.request.request_id}0")
    household.provider.wire.append(Sent(dead.at + timedelta(days=1), again))
    assert offences(audited(household)) == {"hard_declines_retried": 1}


def test_a_try_over_a_cards_budget_is_seen() -> None:
    """Visa's 15 declines of one amount in 30 days: as many more, and the next attempt is over."""

    def tried_again(household: Household) -> bool:
        found = [debit for debit in debits(household, "failed") if debit.request.network == "visa"]
        return len(found) > 1 and timedelta(0) < found[1].at - found[0].at < timedelta(days=5)

    household = lived(tried_again)
    first = debits(household, "failed")[0]
    household.provider.debits[first.request.request_id] += [replace(first) for _ in range(15)]
    assert audited(household).counts["over_budget_attempts"] > 0
