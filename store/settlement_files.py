"""Providers' files as they were taken in: each once, corrections instead of what they correct, their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import islice

from sqlalchemy import func, insert, update
from sqlalchemy import select as aggregate
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.reconciliation import DATED, ReportKind, ReportRow, RowKind, Scope, Span, SummaryRow
from agreements.reconciliation.reports import Report
from store import ids
from store.tables import Agreement, Attempt, GatewayAccount, SettlementFile, SettlementRow

_AT_ONCE = 1000
_SAMPLE = 200


Statement = tuple[str, str]
"""An account's id, and the name of the statement."""


class WrongAccount(Exception):
    """Nobody can tell whose file it is, or it is another merchant's; the text says so."""


async def lock(session: AsyncSession, account_id: str) -> None:
    """One at a time for each account, until the transaction ends: two imports must not both take themselves for the
    newest. Whoever writes rows that refer to the account, such as a notification, does not wait.
    """
    query = select(GatewayAccount.id).where(GatewayAccount.id == account_id)
    await session.exec(query.with_for_update(key_share=True))


async def by_hash(session: AsyncSession, account_id: str, sha256: str) -> SettlementFile | None:
    """The file, if these very bytes were taken in before."""
    query = select(SettlementFile).where(SettlementFile.account_id == account_id, SettlementFile.sha256 == sha256)
    return (await session.exec(query)).first()


async def add(
    session: AsyncSession, account_id: str, report: Report, sha256: str, rows: Iterable[ReportRow | SummaryRow]
) -> SettlementFile:
    """Takes a file in, however many rows. One of the same name is superseded: this is its correction."""
    await lock(session, account_id)
    known = await by_hash(session, account_id, sha256)
    if known is not None:
        return known
    made = SettlementFile(
        id=ids.new("stf"),
        account_id=account_id,
        statement=report.statement,
        kind=report.kind,
        name=report.name,
        sha256=sha256,
        customer=report.customer,
        first_day=report.first_day,
        last_day=report.last_day,
        rows=report.rows,
    )
    await session.exec(
        update(SettlementFile)
        .where(
            col(SettlementFile.account_id) == account_id,
            col(SettlementFile.name) == report.name,
            col(SettlementFile.superseded_by).is_(None),
        )
        .values(superseded_by=made.id)
    )
    session.add(made)
    await session.flush()
    left = iter(rows)
    while part := list(islice(left, _AT_ONCE)):
        await session.exec(insert(SettlementRow), params=[_values(made.id, row) for row in part])
    return made


def _values(file_id: str, row: ReportRow | SummaryRow) -> dict[str, object]:
    values = asdict(row) | ({"kind": RowKind.SUM} if isinstance(row, SummaryRow) else {})
    names = SettlementRow.model_fields.keys() - {"id", "file_id"}
    return {name: values.get(name) for name in names} | {"file_id": file_id}


async def unreconciled(session: AsyncSession, account_ids: Collection[str] | None = None) -> set[Statement]:
    """Statements with a file that was not held against the ledger yet, and the payouts of the same transactions: what
    the report of their day says of fees concerns them, too.
    """
    new = select(SettlementFile).where(
        col(SettlementFile.reconciled_at).is_(None), col(SettlementFile.superseded_by).is_(None)
    )
    if account_ids is not None:
        new = new.where(col(SettlementFile.account_id).in_(account_ids))
    files = (await session.exec(new)).all()
    theirs, other = aliased(SettlementRow), aliased(SettlementRow)
    payouts = (
        select(SettlementFile)
        .join(other, col(other.file_id) == col(SettlementFile.id))
        .join(theirs, col(theirs.transaction_id) == col(other.transaction_id))
        .where(
            col(theirs.file_id).in_([file.id for file in files if file.kind is ReportKind.TRANSACTIONS]),
            col(SettlementFile.account_id).in_({file.account_id for file in files}),
            SettlementFile.kind == ReportKind.SETTLEMENT,
            col(SettlementFile.superseded_by).is_(None),
        )
    )
    found = [*files, *(await session.exec(payouts.distinct()))]
    return {(file.account_id, file.statement) for file in found}


async def of_statement(session: AsyncSession, account_id: str, statement: str) -> Sequence[SettlementFile]:
    """The files that make up a statement now."""
    query = select(SettlementFile).where(
        SettlementFile.account_id == account_id,
        SettlementFile.statement == statement,
        col(SettlementFile.superseded_by).is_(None),
    )
    return (await session.exec(query.order_by(col(SettlementFile.name)))).all()


async def details(session: AsyncSession, files: Sequence[SettlementFile]) -> list[ReportRow]:
    """Every transaction in these files."""
    names = {file.id: file for file in files if file.kind is not ReportKind.SUMMARY}
    query = select(SettlementRow).where(col(SettlementRow.file_id).in_(list(names)))
    return [row_of(row, names[row.file_id]) for row in await session.exec(query)]


async def sums(session: AsyncSession, files: Sequence[SettlementFile]) -> list[SummaryRow]:
    """Every line of the summaries among these files."""
    names = {file.id: file.name for file in files if file.kind is ReportKind.SUMMARY}
    query = select(SettlementRow).where(col(SettlementRow.file_id).in_(list(names)))
    return [
        SummaryRow(
            line=row.line,
            label=row.label,
            count=row.count or 0,
            settled=row.settled or 0,
            settled_currency=row.settled_currency or "",
            fee=row.fee,
            fee_currency=row.fee_currency,
            source=names[row.file_id],
        )
        for row in await session.exec(query)
    ]


async def with_ids(
    session: AsyncSession, account_id: str, kind: ReportKind, *, not_in: str, given: Mapping[str, Iterable[str]]
) -> list[ReportRow]:
    """Rows of the account's other statements of a kind, that name any of the ids `given` by column."""
    found: dict[int | None, ReportRow] = {}
    for column, wanted in given.items():
        left = iter(sorted(set(wanted)))
        while part := list(islice(left, _AT_ONCE)):
            query = (
                select(SettlementRow, SettlementFile)
                .join(SettlementFile, col(SettlementFile.id) == col(SettlementRow.file_id))
                .where(
                    SettlementFile.account_id == account_id,
                    SettlementFile.kind == kind,
                    SettlementFile.statement != not_in,
                    col(SettlementFile.superseded_by).is_(None),
                    getattr(SettlementRow, column).in_(part),
                )
            )
            found |= {row.id: row_of(row, file) for row, file in await session.exec(query)}
    return list(found.values())


def row_of(row: SettlementRow, file: SettlementFile) -> ReportRow:
    """A stored row as it was read."""
    return ReportRow(
        line=row.line,
        kind=row.kind,
        label=row.label,
        transaction_id=row.transaction_id or "",
        amount=row.amount or 0,
        currency=row.currency or "",
        request_id=row.request_id,
        original_id=row.original_id,
        original_request_id=row.original_request_id,
        payment_method=row.payment_method,
        outcome=row.outcome,
        settled=row.settled,
        settled_currency=row.settled_currency,
        fee=row.fee,
        fee_currency=row.fee_currency,
        at=row.at,
        batch=file.statement if file.kind is ReportKind.SETTLEMENT else None,
        source=file.name,
    )


async def other_days(session: AsyncSession, account_id: str, statement: str) -> list[Span]:
    """The days that the account's other reports of transactions account for."""
    query = select(SettlementFile).where(
        SettlementFile.account_id == account_id,
        SettlementFile.kind == ReportKind.TRANSACTIONS,
        SettlementFile.statement != statement,
        col(SettlementFile.superseded_by).is_(None),
    )
    files = await session.exec(query)
    return [(file.first_day, file.last_day) for file in files if file.first_day and file.last_day]


async def other_payouts(
    session: AsyncSession, account_id: str, statement: str, offset: timedelta
) -> dict[Scope, list[Span]]:
    """First and last day of each of the account's other payouts, by payment method and currency.

    Days are the provider's, which begin `offset` before those of UTC.
    """
    day = func.date(func.timezone(offset, SettlementRow.at))
    query = (
        aggregate(
            col(SettlementFile.statement),
            col(SettlementRow.payment_method),
            col(SettlementRow.currency),
            func.min(day),
            func.max(day),
        )
        .join(SettlementRow, col(SettlementRow.file_id) == col(SettlementFile.id))
        .where(
            col(SettlementFile.account_id) == account_id,
            col(SettlementFile.kind) == ReportKind.SETTLEMENT,
            col(SettlementFile.statement) != statement,
            col(SettlementFile.superseded_by).is_(None),
            col(SettlementRow.at).is_not(None),
            col(SettlementRow.kind).in_(DATED),
        )
        .group_by(col(SettlementFile.statement), col(SettlementRow.payment_method), col(SettlementRow.currency))
    )
    spans: dict[Scope, list[Span]] = {}
    found = await (await session.connection()).execute(query)
    for _, method, currency, first, last in found.all():
        if method and currency:
            spans.setdefault((method, currency), []).append((first, last))
    return spans


async def whose(
    session: AsyncSession, gateway: str, report: Report, request_ids: Iterable[str], *, named: str | None = None
) -> str:
    """The account a file belongs to: the one that is named, else the one that made its payments, else the one whose
    files bore the same merchant id, else the only one there is. Raises WrongAccount.
    """
    makers = await _by_requests(session, gateway, request_ids)
    known = await _by_customer(session, gateway, report.customer)
    if named is not None:
        account = await session.get(GatewayAccount, named)
        if account is None or account.gateway != gateway:
            raise WrongAccount(f"there is no account {named} at {gateway}")
        owners = makers or known
        if owners and named not in owners:
            raise WrongAccount(f"it is a file of another account: {', '.join(sorted(owners))}")
        return named
    for candidates in (makers, known, await _all(session, gateway)):
        if len(candidates) == 1:
            return candidates.pop()
        if candidates:
            break
    raise WrongAccount("nothing in it says which account it belongs to: name it with --account gwa_…")


async def _by_requests(session: AsyncSession, gateway: str, request_ids: Iterable[str]) -> set[str]:
    query = (
        select(Agreement.account_id)
        .join(Attempt, col(Attempt.agreement_id) == col(Agreement.id))
        .where(Agreement.gateway == gateway, col(Attempt.gateway_request_id).in_(list(islice(request_ids, _SAMPLE))))
    )
    return set(await session.exec(query.distinct()))


async def _by_customer(session: AsyncSession, gateway: str, customer: str | None) -> set[str]:
    query = (
        select(SettlementFile.account_id)
        .join(GatewayAccount, col(GatewayAccount.id) == col(SettlementFile.account_id))
        .where(GatewayAccount.gateway == gateway, SettlementFile.customer == customer)
    )
    return set(await session.exec(query.distinct())) if customer else set()


async def _all(session: AsyncSession, gateway: str) -> set[str]:
    query = select(GatewayAccount.id).where(GatewayAccount.gateway == gateway)
    return set(await session.exec(query.limit(2)))
