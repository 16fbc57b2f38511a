"""Counts the declines of a card at a merchant, across the merchant's agreements."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import col, select

from agreements import schedule
from agreements.budgets import Declined, Spent, spent
from agreements.money import Money
from agreements.rulebook import Rulebook
from agreements.status import AttemptStatus
from store.changes import Change
from store.tables import Attempt, Credential


async def read(change: Change, credential: Credential, money: Money, rulebook: Rulebook) -> tuple[Spent, ...]:
    """The state of each of the card's budgets for an attempt over `money`; none for a wallet.

    Until the transaction ends nobody else counts the same card, so that two agreements cannot share its last attempt.
    """
    if credential.fingerprint is None:
        return ()
    budgets = rulebook.budgets(credential.network, schedule.today(change.terms.timezone, change.now))
    if not budgets:
        return ()
    card = f"{change.agreement.merchant_id} {credential.fingerprint}"
    await change.session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(card, 0))))
    since = change.now - max(budget.window for budget in budgets)
    query = select(Attempt).where(
        Attempt.fingerprint == credential.fingerprint,
        Attempt.merchant_id == change.agreement.merchant_id,
        Attempt.status == AttemptStatus.FAILED,
        col(Attempt.finished_at) > since,
    )
    declines = [
        Declined(attempt.finished_at, attempt.money)
        for attempt in await change.session.exec(query)
        if attempt.finished_at is not None
    ]
    return spent(budgets, declines, money, change.now)
