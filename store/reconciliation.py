"""The ledger as reports are held against it, and the differences that were found, until somebody has put them right."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.reconciliation import (
    DifferenceStatus,
    Finding,
    Movement,
    ReportRow,
    RowKind,
    state_of_attempt,
    state_of_refund,
)
from agreements.refunds import RefundKind, RefundStatus
from agreements.status import AttemptStatus
from store import ids, settlement_files
from store.settlement_files import Statement
from store.tables import Agreement, Attempt, Notification, Refund, SettlementDifference

_AT_ONCE = 1000
_MOVED = (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED)
_ENGINE = "engine"
_PASSING = {"pending", "source", "line", "heard"}
"""Of a finding: what may change while it stays the same difference."""


class NoSuchDifference(LookupError):
    """No difference has this id, or it is resolved already."""


async def movements(
    session: AsyncSession, account_id: str, rows: Iterable[ReportRow], window: tuple[datetime, datetime] | None
) -> list[Movement]:
    """What of the account's ledger these rows may be about, and all that moved between two instants.

    Of a payment its cancel comes along, and of a refund its payment.
    """
    of_payments, of_refunds = _wanted(rows)
    found: dict[str, Attempt] = {}
    backs: dict[str, Refund] = {}
    for part in _parts(of_payments):
        named = or_(col(Attempt.gateway_request_id).in_(part), col(Attempt.payment_id).in_(part))
        found |= await _attempts(session, account_id, named)
    for part in _parts(of_refunds):
        named = or_(col(Refund.request_id).in_(part), col(Refund.provider_id).in_(part))
        backs |= await _refunds(session, account_id, named)
    if window is not None:
        begin, end = window
        in_time = and_(
            col(Attempt.sent_at) < end, or_(col(Attempt.finished_at) >= begin, col(Attempt.sent_at) >= begin)
        )
        found |= await _attempts(session, account_id, and_(col(Attempt.status).in_(_MOVED), in_time))
        in_time = and_(Refund.created_at < end, or_(col(Refund.finished_at) >= begin, Refund.created_at >= begin))
        backs |= await _refunds(session, account_id, and_(Refund.status == RefundStatus.SUCCEEDED, in_time))
    for part in _parts(found):
        canceled = and_(Refund.kind == RefundKind.CANCEL, col(Refund.attempt_id).in_(part))
        backs |= await _refunds(session, account_id, canceled)
    for part in _parts({refund.attempt_id for refund in backs.values()} - found.keys()):
        found |= await _attempts(session, account_id, col(Attempt.id).in_(part))
    methods = await _methods(session, {attempt.agreement_id for attempt in found.values()})
    payments = [_payment(attempt, methods[attempt.agreement_id]) for attempt in found.values()]
    return payments + [
        _back(refund, found[refund.attempt_id], methods[refund.agreement_id])
        for refund in backs.values()
        # A debit that was never paid can be canceled, too: nothing moved then.
        if refund.kind is RefundKind.REFUND or found[refund.attempt_id].status in _MOVED
    ]


def _wanted(rows: Iterable[ReportRow]) -> tuple[set[str], set[str]]:
    """Ids by which payments, and refunds, may be known here."""
    payments: set[str | None] = set()
    refunds: set[str | None] = set()
    for row in rows:
        if row.kind in (RowKind.REFUND, RowKind.REFUND_REVERSAL):
            refunds |= {row.request_id, row.transaction_id}
            payments |= {row.original_id, row.original_request_id}
        elif row.kind is not RowKind.OTHER:
            payments |= {row.request_id, row.transaction_id, row.original_id, row.original_request_id}
    return {each for each in payments if each}, {each for each in refunds if each}


async def _attempts(session: AsyncSession, account_id: str, such: ColumnElement[bool]) -> dict[str, Attempt]:
    query = select(Attempt).join(Agreement, col(Agreement.id) == col(Attempt.agreement_id))
    return {row.id: row for row in await session.exec(query.where(Agreement.account_id == account_id, such))}


async def _refunds(session: AsyncSession, account_id: str, such: ColumnElement[bool]) -> dict[str, Refund]:
    query = select(Refund).join(Agreement, col(Agreement.id) == col(Refund.agreement_id))
    return {row.id: row for row in await session.exec(query.where(Agreement.account_id == account_id, such))}


async def _methods(session: AsyncSession, agreement_ids: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in _parts(agreement_ids):
        query = select(Agreement.id, Agreement.payment_method).where(col(Agreement.id).in_(part))
        found |= {id_: method for id_, method in await session.exec(query)}
    return found


def _payment(attempt: Attempt, method: str) -> Movement:
    return Movement(
        kind=RowKind.PAYMENT,
        id=attempt.id,
        request_id=attempt.gateway_request_id,
        status=attempt.status.shown.value,
        state=state_of_attempt(attempt.status),
        amount=attempt.amount,
        currency=attempt.currency,
        began=attempt.sent_at,
        ended=attempt.finished_at,
        provider_id=attempt.payment_id,
        payment_id=attempt.payment_id,
        agreement_id=attempt.agreement_id,
        charge_id=attempt.charge_id,
        payment_method=method,
    )


def _back(refund: Refund, attempt: Attempt, method: str) -> Movement:
    canceled = refund.kind is RefundKind.CANCEL
    return Movement(
        kind=RowKind.CANCEL if canceled else RowKind.REFUND,
        id=refund.id,
        request_id=attempt.gateway_request_id if canceled else refund.request_id,
        status=refund.status.value,
        state=state_of_refund(refund.status),
        amount=refund.amount,
        currency=refund.currency,
        began=refund.sent_at or refund.created_at,
        ended=refund.finished_at,
        provider_id=refund.provider_id,
        payment_id=attempt.payment_id,
        agreement_id=refund.agreement_id,
        charge_id=refund.charge_id,
        payment_method=method,
    )


async def told(session: AsyncSession, account_id: str, agreement_ids: Collection[str]) -> list[Notification]:
    """The provider's messages about payments and refunds of these agreements, in the order in which they came."""
    found: list[Notification] = []
    for part in _parts(agreement_ids):
        query = select(Notification).where(
            Notification.account_id == account_id,
            Notification.source == "notification",
            col(Notification.agreement_id).in_(part),
            col(Notification.kind).in_(("payment", "refund")),
            col(Notification.status).in_(("signalled", "settled", "ignored")),
        )
        found += await session.exec(query)
    return sorted(found, key=lambda each: each.id)


async def write_down(
    session: AsyncSession, account_id: str, statement: str, findings: Sequence[Finding], now: datetime
) -> tuple[list[SettlementDifference], list[SettlementDifference]]:
    """What was found is what is open from now on: all of the statement's differences, and those that are open anew.

    What an operator resolved stays so while nothing about it changes; what is no longer found is closed by itself.
    """
    await settlement_files.lock(session, account_id)
    query = select(SettlementDifference).where(
        SettlementDifference.account_id == account_id, SettlementDifference.statement == statement
    )
    known = {(row.reason, row.subject): row for row in await session.exec(query)}
    new: list[SettlementDifference] = []
    for finding in findings:
        row = known.pop((finding.reason, finding.subject), None)
        before = row.status if row else None
        if row is None:
            row = _new(account_id, statement, finding, now)
            session.add(row)
        elif row.status is not DifferenceStatus.RESOLVED or _changed(row, finding):
            _reopen(row, finding, now)
        if row.status is DifferenceStatus.OPEN and before is not DifferenceStatus.OPEN:
            new.append(row)
    for gone in known.values():
        if gone.status is not DifferenceStatus.RESOLVED:
            gone.status, gone.resolved_at = DifferenceStatus.RESOLVED, now
            gone.resolved_by, gone.note = _ENGINE, "the books agree now"
    await session.flush()
    ordered = await session.exec(query.order_by(col(SettlementDifference.id)))
    return list(ordered), new


def _new(account_id: str, statement: str, finding: Finding, now: datetime) -> SettlementDifference:
    return SettlementDifference(
        id=ids.new("dif"),
        account_id=account_id,
        statement=statement,
        reason=finding.reason,
        subject=finding.subject,
        status=_status(finding),
        finding=finding.model_dump(mode="json"),
        agreement_id=finding.agreement_id,
        charge_id=finding.charge_id,
        found_at=now,
    )


def _changed(row: SettlementDifference, finding: Finding) -> bool:
    """Whether a difference that is closed is there again, or there is more to it than was resolved."""
    if row.resolved_by == _ENGINE:
        return True
    before = Finding.model_validate(row.finding)
    return before.model_dump(exclude=_PASSING) != finding.model_dump(exclude=_PASSING)


def _reopen(row: SettlementDifference, finding: Finding, now: datetime) -> None:
    if row.status is DifferenceStatus.RESOLVED:
        row.found_at, row.resolved_at, row.resolved_by, row.note = now, None, None, None
    row.status, row.finding = _status(finding), finding.model_dump(mode="json")


def _status(finding: Finding) -> DifferenceStatus:
    return DifferenceStatus.PENDING if finding.pending else DifferenceStatus.OPEN


async def unsettled(session: AsyncSession, account_ids: Collection[str] | None = None) -> set[Statement]:
    """Statements something is still open or pending of."""
    query = select(SettlementDifference.account_id, SettlementDifference.statement).where(
        SettlementDifference.status != DifferenceStatus.RESOLVED
    )
    if account_ids is not None:
        query = query.where(col(SettlementDifference.account_id).in_(account_ids))
    return {(account_id, statement) for account_id, statement in await session.exec(query.distinct())}


async def listed(
    session: AsyncSession, *, account_id: str | None, statuses: Collection[DifferenceStatus], limit: int
) -> Sequence[SettlementDifference]:
    """The newest differences of these statuses."""
    query = select(SettlementDifference).where(col(SettlementDifference.status).in_(statuses))
    if account_id is not None:
        query = query.where(SettlementDifference.account_id == account_id)
    return (await session.exec(query.order_by(col(SettlementDifference.id).desc()).limit(limit))).all()


async def resolve(session: AsyncSession, difference_id: str, note: str, by: str, now: datetime) -> SettlementDifference:
    """Somebody has put it right, or found out why it is. Raises NoSuchDifference."""
    row = await session.get(SettlementDifference, difference_id, with_for_update=True)
    if row is None:
        raise NoSuchDifference(f"there is no difference {difference_id}")
    if row.status is DifferenceStatus.RESOLVED:
        raise NoSuchDifference(f"{difference_id} was resolved by {row.resolved_by}: {row.note}")
    row.status, row.resolved_at, row.resolved_by, row.note = DifferenceStatus.RESOLVED, now, by, note
    return row


def _parts(wanted: Iterable[str]) -> Iterator[list[Any]]:
    left = iter(sorted(set(wanted)))
    while part := list(islice(left, _AT_ONCE)):
        yield part
