"""A provider's report held against the ledger, and against what the provider told us when it happened.

`records` are the shapes of all three, whichever provider it is; `days` says which report must hold a movement;
`matching` finds the differences, `sums` those between a payout and its summary; `words` tells them to people.
"""

from agreements.reconciliation.days import DATED, Days, Expected, Scope, Span, of_batch, of_day, window
from agreements.reconciliation.matching import Books, match
from agreements.reconciliation.records import (
    DifferenceStatus,
    Finding,
    Heard,
    Matching,
    Movement,
    Reason,
    ReportKind,
    ReportRow,
    RowKind,
    RowOutcome,
    Side,
    State,
    SummaryRow,
    Total,
    state_of_attempt,
    state_of_refund,
)
from agreements.reconciliation.sums import TOTAL, check

__all__ = [
    "DATED",
    "TOTAL",
    "Books",
    "Days",
    "DifferenceStatus",
    "Expected",
    "Finding",
    "Heard",
    "Matching",
    "Movement",
    "Reason",
    "ReportKind",
    "ReportRow",
    "RowKind",
    "RowOutcome",
    "Scope",
    "Side",
    "Span",
    "State",
    "SummaryRow",
    "Total",
    "check",
    "match",
    "of_batch",
    "of_day",
    "state_of_attempt",
    "state_of_refund",
    "window",
]
