"""What holds whatever happens, one word each: what the background audit looks for and operators are called for."""

from __future__ import annotations

from enum import StrEnum


class Invariant(StrEnum):
    """The promise each stands for is in design §2; what exactly is compared is in `store/audit.py`."""

    ONE_SUCCESS_PER_CHARGE = "one_success_per_charge"
    """No charge has two succeeded attempts (promise 1)."""
    PAID_AS_ATTEMPTED = "paid_as_attempted"
    """A charge counts as paid exactly when one of its attempts succeeded (promise 1)."""
    STATUS_AS_REFUNDED = "status_as_refunded"
    """A paid charge's status is what was captured less what went back."""
    REFUNDS_WITHIN_CAPTURED = "refunds_within_captured"
    """No more goes back than was captured."""
    EVENTS_WITHOUT_GAPS = "events_without_gaps"
    """An agreement's events are numbered to its counter, from 1 or, once old ones went, from an old one (promise 6)."""
    EVENTS_HAVE_DELIVERIES = "events_have_deliveries"
    """Every event has a delivery to every endpoint that wanted it (promise 6)."""
    OPEN_ATTEMPTS_ARE_ASKED_ABOUT = "open_attempts_are_asked_about"
    """What was sent and not settled has an instant at which it is asked about, or is a person's (promise 2)."""
    STEPS_ARE_TAKEN = "steps_are_taken"
    """What is due is done: no agreement's next step is long past."""
    WORKFLOW_RUNS = "workflow_runs"
    """An agreement that has not ended has a running workflow (promise 9)."""
    NO_DEBIT_AFTER_STOP = "no_debit_after_stop"
    """Nothing is sent once a revocation or an end is committed (promise 4)."""
    WITHIN_CAP = "within_cap"
    """No cycle's debit is above the cap the customer consented to (promise 3)."""
    MINIMUM_GAP = "minimum_gap"
    """No two cycles are due closer together than the terms allow (promise 3)."""
