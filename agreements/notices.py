"""Telling the payer before a debit: when, by which rule, and whether the debit has to wait for proof.

The duties of schemes and rails are data of the rulebook (payment-rules §2.4, §2.6); a merchant may wish for more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from agreements.rulebook import NoticeDuty

MERCHANTS_WISH = "merchants_wish"
AMOUNT_NOT_SET = "amount_not_set"

_TO_SET_AN_AMOUNT = timedelta(days=3)
"""How long before a debit the merchant hears that its amount is still missing."""

_SLACK = timedelta(days=1)
"""Told this much before a duty's last moment, so that an outage of a day still keeps it."""


class Wish(BaseModel):
    """What a merchant wants beyond the schemes' duties: an event so many days ahead, maybe no debit without proof."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    days_before: Annotated[StrictInt, Field(ge=1, le=60)]
    required: StrictBool = False
    """No debit before the merchant has said that the payer was told (`notified_at` of the cycle)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """When to announce a debit and by which rules. With `proof` no debit happens until `lead` after the proof."""

    at: datetime
    rules: tuple[str, ...]
    proof: bool
    lead: timedelta


def plan(
    due_at: datetime,
    wish: Wish | None,
    duties: Iterable[NoticeDuty],
    *,
    amount_changed: bool = False,
    amount_missing: bool = False,
) -> Notice | None:
    """The notice of a debit due at `due_at`; None where nobody asks for one.

    `amount_changed` since the last debit brings in the duties that come with a new price; `amount_missing` reminds the
    merchant to set it. Of several the earliest counts, but never before a duty's own first moment.
    """
    owed = [duty for duty in duties if duty.when == "debit" or (duty.when == "change" and amount_changed)]
    wanted = {MERCHANTS_WISH: timedelta(days=wish.days_before)} if wish else {}
    if amount_missing:
        wanted[AMOUNT_NOT_SET] = _TO_SET_AN_AMOUNT
    leads = [*(duty.latest + _SLACK for duty in owed), *wanted.values()]
    if not leads:
        return None
    lead = min([max(leads), *(duty.earliest for duty in owed if duty.earliest is not None)])
    proving = [duty.latest for duty in owed if duty.proof]
    return Notice(
        at=due_at - lead,
        rules=(*(duty.id for duty in owed), *wanted),
        proof=bool(proving) or bool(wish and wish.required),
        lead=max(proving, default=timedelta(0)),
    )


def debit_from(notice: Notice | None, proven_at: datetime | None, due_at: datetime) -> datetime | None:
    """From when on the debit may happen; None while the proof it waits for is missing."""
    if notice is None or not notice.proof:
        return due_at
    return None if proven_at is None else max(due_at, proven_at + notice.lead)
