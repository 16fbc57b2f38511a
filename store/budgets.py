"""What the agreements of a merchant have learned about one card: its declines, counted, and whether it is dead."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import and_, col, or_, select

from agreements import schedule
from agreements.attempts import UNFINISHED
from agreements.budgets import Declined, Spent, spent
from agreements.money import Money
from agreements.retries import Action
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
    # What is in flight may yet be declined: it counts from when it was sent.
    counts = or_(
        and_(Attempt.status == AttemptStatus.FAILED, col(Attempt.finished_at) > since),
        col(Attempt.status).in_(UNFINISHED),
    )
    query = select(Attempt).where(
        Attempt.fingerprint == credential.fingerprint, Attempt.merchant_id == change.agreement.merchant_id, counts
    )
    declines = [
        Declined(attempt.finished_at or attempt.sent_at or change.now, attempt.money)
        for attempt in await change.session.exec(query)
    ]
    return spent(budgets, declines, money, change.now)


async def dead_card(change: Change, credential: Credential) -> str | None:
    """The decline after which a scheme wants no further try of this card at this merchant, whichever agreement had it.

    None for a wallet, and for a card its holder has given again since.
    """
    if credential.fingerprint is None:
        return None
    query = select(Attempt.decline).where(
        Attempt.fingerprint == credential.fingerprint,
        Attempt.merchant_id == change.agreement.merchant_id,
        Attempt.status == AttemptStatus.FAILED,
        col(Attempt.finished_at) >= credential.issued_at,
        col(Attempt.decision)["action"].astext == Action.NEEDS_NEW_CARD.value,
    )
    decline = (await change.session.exec(query.limit(1))).first()
    return None if decline is None else str(decline["code"])
