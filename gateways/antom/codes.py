"""Antom's result codes that belong to the protocol; what a refusal means is in the rulebook.

Source: gateways/antom.md sections 3 and 8.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from agreements import rulebook
from agreements.declines import Decline

IN_PROGRESS = frozenset({"PAYMENT_IN_PROCESS", "REFUND_IN_PROCESS", "AUTH_IN_PROCESS"})
"""Antom has it and has not decided, whichever status letter comes with the code (not published for all of them)."""

OUTCOME_UNKNOWN = frozenset({"UNKNOWN_EXCEPTION", "REQUEST_TRAFFIC_EXCEED_LIMIT"})
"""Nothing is known, whichever status letter comes with the code: inquire, or repeat the identical call."""

PAY_INQUIRE_FIRST = frozenset({"REPEAT_REQ_INCONSISTENT", "ORDER_STATUS_INVALID", "ORDER_NOT_EXIST"})
"""Refusals of a pay call that say nothing about the money: an earlier call with the id may have paid."""

REFUND_INQUIRE_FIRST = frozenset({"REPEAT_REQ_INCONSISTENT"})
"""Refusals of a refund call that say nothing about the money: an earlier call with the id may have refunded."""

REFUND_NOT_FOUND = frozenset({"REFUND_NOT_EXIST", "ORDER_NOT_EXIST"})
"""Answers of inquiryRefund to an id it never saw; the real code is not published."""


def decline(raw_code: str | None, *, call: Literal["pay", "grant"] = "pay") -> Decline:
    """The refusal a code stands for today, by the rulebook (`declines/antom.toml`). `grant` is applyToken's reading.

    Providers answer in real time, also for agreements on a test clock: the real day decides.
    """
    meaning = rulebook.current().meaning("antom", raw_code, datetime.now(UTC).date(), call=call)
    return Decline(category=meaning.category, code=meaning.code, raw_code=raw_code, message=meaning.message)
