"""What a card change puts on an agreement's agenda, and what it makes of an overdue charge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agreements import agenda, collection
from agreements.agenda import StepKind
from agreements.records import AgreementRecord
from agreements.retries import Decision
from agreements.standing import Deadline, DueCharge, DueRelease, Identity, Standing
from agreements.status import AgreementStatus, ChargeStatus, Stop

NOW = datetime(2027, 2, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
IDENTITY = Identity(
    id="agr_1", merchant_id="mer_1", gateway="antom", customer_id="c", reference="r", test_clock_id=None
)


def standing(stop: Stop = Stop.NONE, **dates: Any) -> Standing:
    return Standing(
        agreement=IDENTITY, version=1, as_of=NOW, status=AgreementStatus.ACTIVE, stop=stop, closed=False, **dates
    )


@dataclass
class Debt:
    """A charge as `renew` changes it."""

    status: ChargeStatus
    attempts_made: int = 1
    next_attempt_at: datetime | None = None
    act_by: datetime | None = NOW + HOUR
    catch_up: bool = False


@dataclass
class Book:
    """Remembers what was written down."""

    now: datetime = NOW
    told: list[str] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)

    @property
    def agreement(self) -> AgreementRecord:
        raise AssertionError("renewing a charge is no matter of the agreement's")

    def event(self, type_: str, charge: Any = None, **details: Any) -> None:
        self.told.append(type_)

    def decide(self, decision: Decision, charge: Any, attempt: Any) -> None:
        self.decided.append(decision)


@pytest.mark.parametrize("status", [ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED, ChargeStatus.FAILED])
def test_an_overdue_charge_is_due_at_once_and_caught_up_on(status: ChargeStatus) -> None:
    book, charge = Book(), Debt(status)
    collection.renew(book, charge, "1")  # type: ignore[arg-type]
    assert charge == Debt(ChargeStatus.RETRYING, 1, NOW, None, True)
    assert [(decision.rule, decision.at) for decision in book.decided] == [("credential_replaced", NOW)]
    assert book.told == ["charge.retry_scheduled"]


@pytest.mark.parametrize("stop", list(Stop))
def test_a_replaced_credential_is_released_whatever_stops_the_agreement(stop: Stop) -> None:
    step = agenda.next_step(standing(stop, releases=(DueRelease(credential_id="crd_1", at=NOW),)), NOW)
    assert step is not None
    assert (step.kind, step.subject) == (StepKind.RELEASE, "crd_1")


def test_money_goes_before_the_release() -> None:
    due = DueCharge(charge_id="chg_1", cycle=1, attempt=2, amount="PHP 1.00", at=NOW)
    both = standing(charges=(due,), releases=(DueRelease(credential_id="crd_1", at=NOW - HOUR),))
    step = agenda.next_step(both, NOW)
    assert step is not None
    assert step.kind is StepKind.CHARGE


def test_a_charge_is_given_up_before_its_link_runs_out() -> None:
    """Both fall due at the same instant: so the link is there as long as the charge waits."""
    waits = Deadline(charge_id="chg_1", cycle=1, at=NOW)
    step = agenda.next_step(standing(deadlines=(waits,), card_change_expires_at=NOW), NOW)
    assert step is not None
    assert step.kind is StepKind.LAPSE


def test_kinds_recorded_in_histories_keep_their_numbers() -> None:
    assert (StepKind.LAPSE, StepKind.ANNOUNCE, StepKind.RELEASE, StepKind.EXPIRE_CARD_CHANGE) == (9, 10, 11, 12)
