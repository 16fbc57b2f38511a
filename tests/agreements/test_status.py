"""One status out of many facts."""

from itertools import product

import pytest

from agreements.status import AGREEMENT_ENDS, AgreementStatus, AttemptStatus, Stop, derive

Status = AgreementStatus
FLAGS = list(product([False, True], repeat=2))


@pytest.mark.parametrize("ended", sorted(AGREEMENT_ENDS))
def test_ends_win_over_everything(ended: Status) -> None:
    for authorized, stop, (action, late) in product([False, True], Stop, FLAGS):
        status = derive(ended=ended, authorized=authorized, stop=stop, action_required=action, past_due=late)
        assert status is ended


@pytest.mark.parametrize(
    ("authorized", "stop", "action", "late", "expected"),
    [
        (True, Stop.REVOKED, True, True, Status.REVOKED),
        (False, Stop.REVOKED, False, False, Status.REVOKED),
        (False, Stop.PAUSED, True, True, Status.PENDING_AUTHORIZATION),
        (True, Stop.PAUSED, True, True, Status.PAUSED),
        (True, Stop.NONE, True, True, Status.ACTION_REQUIRED),
        (True, Stop.NONE, False, True, Status.PAST_DUE),
        (True, Stop.NONE, False, False, Status.ACTIVE),
    ],
)
def test_precedence(authorized: bool, stop: Stop, action: bool, late: bool, expected: Status) -> None:
    assert derive(ended=None, authorized=authorized, stop=stop, action_required=action, past_due=late) is expected


@pytest.mark.parametrize("status", sorted(set(Status) - AGREEMENT_ENDS))
def test_only_ends_end(status: Status) -> None:
    with pytest.raises(ValueError, match="does not end"):
        derive(ended=status, authorized=True, stop=Stop.NONE, action_required=False, past_due=False)


def test_merchants_see_sent_as_processing() -> None:
    assert {status: status.shown for status in AttemptStatus if status.shown is not status} == {
        AttemptStatus.SENT: AttemptStatus.PROCESSING
    }


def test_money_may_move_while_an_attempt_is_open() -> None:
    assert {status for status in AttemptStatus if status.open} == {"sent", "processing", "unknown"}
