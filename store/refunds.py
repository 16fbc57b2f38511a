"""Refunds as rows: asked for within what is left, written down as they go on, told when they end."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, update
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import catalog
from agreements.catalog import PaymentMethod
from agreements.declines import Decline
from agreements.money import Money
from agreements.refunds import (
    COUNTED,
    REFUNDABLE,
    Progress,
    RefundKind,
    RefundOrigin,
    RefundStanding,
    RefundStatus,
    charge_status,
)
from agreements.status import AttemptStatus, ChargeStatus
from store import captured, clocks, cycles, ids, views
from store.captured import AmountRefused
from store.changes import Change
from store.database import Database
from store.lifecycle import Conflict
from store.tables import Agreement, Attempt, Charge, Refund

_ENDS = (RefundStatus.SUCCEEDED, RefundStatus.FAILED)


async def ask(change: Change, charge_id: str, amount: Money | None, reason: str | None) -> Refund:
    """Writes down a refund a merchant asks for; without `amount`, of all that is left.

    The charge's row is locked, so that refunds asked for at once never exceed what was captured. Raises Conflict and
    AmountRefused.
    """
    charge = await captured.locked(change, charge_id)
    if charge.status not in REFUNDABLE:
        raise Conflict(f"a charge that is {charge.status} cannot be refunded")
    attempt = await captured.paying(change, charge)
    left = attempt.amount - await _counted(change, attempt)
    if left <= 0:
        raise Conflict("all of it has gone back or is on its way back")
    rest = Money(currency=attempt.currency, value=left)
    try:
        _check(change, attempt, amount or rest, left)
    except AmountRefused as error:
        if amount is not None:
            raise
        raise Conflict(f"{rest} is left of it, and {error}") from error
    return _write(change, attempt, RefundKind.REFUND, amount or rest, reason)


async def give_back(change: Change, charge: Charge) -> Refund:
    """Writes down that all that is left of a paid charge goes back: by a cancel while nothing was refunded, which the
    provider takes until its cut-off, else by a refund. The charge's row is locked. Raises Conflict.
    """
    attempt = await captured.paying(change, charge)
    counted = await _counted(change, attempt)
    if counted == 0:
        return _write(change, attempt, RefundKind.CANCEL, attempt.money, "the charge was canceled")
    return await ask(change, charge.id, None, "the charge was canceled")


async def told_of(
    session: AsyncSession,
    account_id: str,
    *,
    request_id: str | None,
    reversal_id: str | None,
    payment_id: str | None,
    amount: Money | None,
) -> Refund | None:
    """The refund a provider's message is about, of the account that vouches for it.

    By our id or by the provider's own; else, where the message has none of ours, the one on its way for that payment
    and amount whose answer has not been written down yet.
    """
    ours = select(Refund).join(Agreement, col(Agreement.id) == Refund.agreement_id)
    ours = ours.where(Agreement.account_id == account_id)
    if request_id is not None:
        return (await session.exec(ours.where(Refund.request_id == request_id))).first()
    if reversal_id is None:
        return None
    known = or_(col(Refund.provider_id) == reversal_id, col(Refund.request_id) == reversal_id)
    found = (await session.exec(ours.where(known).limit(1))).first()
    if found is not None or amount is None:
        return found
    on_its_way = ours.join(Attempt, col(Attempt.id) == Refund.attempt_id).where(
        Attempt.payment_id == payment_id,
        Refund.kind == RefundKind.REFUND,
        col(Refund.provider_id).is_(None),
        col(Refund.sent_at).is_not(None),
        col(Refund.next_try_at).is_not(None),
        Refund.currency == amount.currency,
        Refund.amount == amount.value,
    )
    return (await session.exec(on_its_way.order_by(Refund.id).limit(1))).first()


def send_back(change: Change, attempt: Attempt, reason: str) -> Refund:
    """Writes down that a debit goes back which must not be kept; its agreement's workflow sees to it."""
    request_id = f"{attempt.gateway_request_id}-r1"
    return _write(change, attempt, RefundKind.CANCEL, attempt.money, reason, RefundOrigin.ENGINE, request_id)


def made_at_provider(
    change: Change, attempt: Attempt, kind: RefundKind, request_id: str | None, amount: Money
) -> Refund:
    """Writes down what somebody did on the provider's own portal, its outcome still to be applied.

    A cancel has no request id there, so it gets one of ours.
    """
    refund = _write(change, attempt, kind, amount, None, RefundOrigin.PROVIDER, request_id)
    refund.in_doubt, refund.sent_at = True, change.now
    return refund


def progress(refund: Refund) -> Progress:
    """How far it has come, as the rules of `agreements/refunds.py` take it."""
    return Progress(
        kind=refund.kind,
        status=refund.status,
        next_at=refund.next_try_at,
        in_doubt=refund.in_doubt,
        sent_at=refund.sent_at,
        looks=refund.looks,
        times_not_found=refund.times_not_found,
    )


async def apply(change: Change, refund: Refund, after: Progress, decline: Decline | None = None) -> None:
    """Writes down how far it has come. An end is an event, and shows in the charge's status."""
    ended = after.status in _ENDS and after.status is not refund.status
    refund.kind, refund.status, refund.next_try_at = after.kind, after.status, after.next_at
    refund.in_doubt, refund.sent_at = after.in_doubt, after.sent_at
    refund.looks, refund.times_not_found = after.looks, after.times_not_found
    if not ended:
        return
    refund.finished_at = change.now
    refund.decline = decline.model_dump(mode="json") if decline and after.status is RefundStatus.FAILED else None
    charge = await change.session.get_one(Charge, refund.charge_id)
    await _show(change, charge, await change.session.get_one(Attempt, refund.attempt_id))
    shown = views.refund(refund).model_dump(mode="json")
    change.event(f"refund.{after.status}", charge, refund=shown)


async def standing(session: AsyncSession, refund: Refund, agreement: Agreement) -> RefundStanding:
    """What the refund's workflow must know of it."""
    charge = await session.get_one(Charge, refund.charge_id)
    return RefundStanding(
        refund_id=refund.id,
        agreement_id=agreement.id,
        merchant_id=agreement.merchant_id,
        gateway=agreement.gateway,
        test_clock_id=agreement.test_clock_id,
        title=f"{refund.kind} {refund.money} of charge {charge.id} ({cycles.in_words(charge)})",
        status=refund.status,
        as_of=await clocks.now_for(session, agreement.test_clock_id),
        next_at=refund.next_try_at,
    )


async def current(database: Database, refund_id: str) -> RefundStanding:
    """The standing of a refund nobody is changing. Raises NoResultFound if there is none."""
    async with database.transaction() as session:
        refund = await session.get_one(Refund, refund_id)
        return await standing(session, refund, await session.get_one(Agreement, refund.agreement_id))


async def mark_started(database: Database, refund_id: str) -> None:
    """Notes that the refund's workflow was started."""
    async with database.transaction() as session:
        await session.exec(update(Refund).where(col(Refund.id) == refund_id).values(started=True))


def _write(
    change: Change,
    attempt: Attempt,
    kind: RefundKind,
    amount: Money,
    reason: str | None,
    origin: RefundOrigin = RefundOrigin.MERCHANT,
    request_id: str | None = None,
) -> Refund:
    """A refund that is due. A merchant's has a workflow of its own, which is still to be started."""
    id_ = ids.new("rfd")
    refund = Refund(
        id=id_,
        agreement_id=attempt.agreement_id,
        charge_id=attempt.charge_id,
        attempt_id=attempt.id,
        origin=origin,
        kind=kind,
        request_id=request_id or id_,
        status=RefundStatus.PENDING,
        currency=amount.currency,
        amount=amount.value,
        reason=reason,
        next_try_at=change.now,
        started=origin is not RefundOrigin.MERCHANT,
        created_at=change.now,
    )
    change.session.add(refund)
    return refund


def _check(change: Change, attempt: Attempt, amount: Money, left: int) -> None:
    captured.check(amount, attempt, left, "refund")
    method = catalog.method(change.agreement.gateway, change.agreement.payment_method)
    if method is None:
        return
    if refused := catalog.refuse(method, amount):
        raise AmountRefused("/amount/value", refused)
    if _too_late(change, attempt, method):
        raise Conflict(f"{method.name} takes refunds until {method.refund_days} days after the payment")


def _too_late(change: Change, attempt: Attempt, method: PaymentMethod) -> bool:
    if method.refund_days is None or attempt.finished_at is None:
        return False
    return change.now - attempt.finished_at > timedelta(days=method.refund_days)


async def _counted(change: Change, attempt: Attempt) -> int:
    """What has gone back of a debit or may yet, in minor units."""
    query = select(func.sum(Refund.amount)).where(Refund.attempt_id == attempt.id, col(Refund.status).in_(COUNTED))
    return int((await change.session.exec(query)).one() or 0)


async def _show(change: Change, charge: Charge, attempt: Attempt) -> None:
    """The charge says what was given back of the debit that paid it; a debit that was not kept has paid nothing."""
    if attempt.status is not AttemptStatus.SUCCEEDED or charge.status not in (*REFUNDABLE, ChargeStatus.REFUNDED):
        return
    await change.session.flush()
    query = select(func.sum(Refund.amount)).where(
        Refund.attempt_id == attempt.id, Refund.status == RefundStatus.SUCCEEDED
    )
    given_back = int((await change.session.exec(query)).one() or 0)
    charge.status = charge_status(attempt.amount, given_back)
