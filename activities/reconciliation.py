"""Providers' settlement files taken in and held against the ledger and the journal.

Everything here may be done twice: a file is known by its bytes, a difference by what it is about.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import reconciliation
from agreements.attempts import Verdict
from agreements.reconciliation import (
    Books,
    Days,
    DifferenceStatus,
    Finding,
    Heard,
    Matching,
    Movement,
    ReportKind,
    ReportRow,
    RowKind,
    SummaryRow,
)
from agreements.reconciliation.reports import BadReport, Report
from gateways import notifications
from gateways.port import Account, BadNotification, NewsKind
from gateways.reports import READERS
from store import journal, merchants, settlement_files
from store import reconciliation as store
from store.database import Database
from store.tables import GatewayAccount, Notification, SettlementDifference, SettlementFile
from store.vault import Vault, VaultError

_KINDS = {NewsKind.PAYMENT: RowKind.PAYMENT, NewsKind.REFUND: RowKind.REFUND}
_MOVED = {Verdict.SUCCEEDED: True, Verdict.DECLINED: False}
_SAMPLE = 200


@dataclass(frozen=True)
class TakenIn:
    """A file as it is in the database; `new` unless the same bytes were there before."""

    file: SettlementFile
    new: bool


@dataclass(frozen=True)
class Reconciled:
    """A statement held against the ledger: its files, how much agrees, all its differences, and those open anew."""

    account_id: str
    statement: str
    files: Sequence[SettlementFile]
    matching: Matching
    differences: Sequence[SettlementDifference]
    new: Sequence[SettlementDifference]
    summary: Sequence[SummaryRow]

    @property
    def open(self) -> list[SettlementDifference]:
        """What somebody has to put right."""
        return [each for each in self.differences if each.status is DifferenceStatus.OPEN]


class Reconciliation:
    """Works on the database, and on the vault for what was journalled. No call to a provider is made."""

    def __init__(self, database: Database, vault: Vault, *, fees_apart: bool = False) -> None:
        """`fees_apart`: payouts' details are gross, their summaries net (gateways/antom.md §10.4: contracts differ)."""
        self._database, self._vault, self._fees_apart = database, vault, fees_apart

    async def take_in(self, path: Path, *, gateway: str = "antom", account: str | None = None) -> TakenIn:
        """Reads a file to its end and keeps its rows, once. Raises BadReport, also for one that cannot be opened, and
        WrongAccount; then nothing of it is kept.
        """
        try:
            report, sha256, sample = await asyncio.to_thread(_inspect, gateway, path)
        except OSError as error:
            raise BadReport(error.strerror or "it cannot be read") from error
        async with self._database.transaction() as session:
            owner = await settlement_files.whose(session, gateway, report, sample, named=account)
            known = await settlement_files.by_hash(session, owner, sha256)
            if known is not None:
                return TakenIn(known, new=False)
            with path.open("rb") as stream:
                rows = READERS[gateway].rows(path.name, stream)
                return TakenIn(await settlement_files.add(session, owner, report, sha256, rows), new=True)

    async def due(self, account_ids: Collection[str] | None = None) -> list[tuple[str, str]]:
        """Accounts and statements to be looked at, of these accounts or of all: those with files that are new, and
        those something is open of, because the ledger or another file may explain it by now.
        """
        async with self._database.transaction() as session:
            new = await settlement_files.unreconciled(session, account_ids)
            return sorted(new | await store.unsettled(session, account_ids))

    async def reconcile(self, account_id: str, statement: str) -> Reconciled:
        """Holds a statement, all parts of it that are there, against the ledger and the journal, and writes down what
        differs.
        """
        async with self._database.transaction() as session:
            account = await session.get_one(GatewayAccount, account_id)
            files = await settlement_files.of_statement(session, account_id, statement)
            rows = await settlement_files.details(session, files)
            summary = await settlement_files.sums(session, files)
            books = await self._books(session, account, statement, files, rows)
            sums = self._sums(files, rows, summary)
            matching = await asyncio.to_thread(reconciliation.match, books)
            findings = [*matching.findings, *sums]
            now = datetime.now(UTC)
            differences, new = await store.write_down(session, account_id, statement, findings, now)
            for file in files:
                file.reconciled_at = file.reconciled_at or now
        return Reconciled(account_id, statement, files, matching, differences, new, summary)

    def _sums(
        self, files: Sequence[SettlementFile], rows: Sequence[ReportRow], summary: Sequence[SummaryRow]
    ) -> list[Finding]:
        """Only where both files of a payout are there: one without the other has nothing to be held against."""
        kinds = {file.kind for file in files}
        if not kinds >= {ReportKind.SETTLEMENT, ReportKind.SUMMARY}:
            return []
        return reconciliation.check(rows, summary, fees_apart=self._fees_apart)

    async def _books(
        self,
        session: AsyncSession,
        account: GatewayAccount,
        statement: str,
        files: Sequence[SettlementFile],
        rows: list[ReportRow],
    ) -> Books:
        kind = next((file.kind for file in files if file.kind is not ReportKind.SUMMARY), ReportKind.SETTLEMENT)
        other = ReportKind.SETTLEMENT if kind is ReportKind.TRANSACTIONS else ReportKind.TRANSACTIONS
        days = await self._days(session, account, statement, kind, files, rows)
        movements = await store.movements(session, account.id, rows, reconciliation.window(days))
        known = {
            "request_id": [
                *(each.request_id for each in movements),
                *(row.request_id for row in rows if row.request_id),
            ],
            "transaction_id": [
                *(row.transaction_id for row in rows),
                *(each.provider_id for each in movements if each.provider_id),
            ],
            "original_id": [each.payment_id for each in movements if each.payment_id],
        }
        return Books(
            rows=rows,
            movements=movements,
            days=days,
            heard=await self._heard(session, account, movements),
            elsewhere=await settlement_files.with_ids(session, account.id, kind, not_in=statement, given=known),
            counterpart=await settlement_files.with_ids(session, account.id, other, not_in=statement, given=known),
        )

    async def _days(
        self,
        session: AsyncSession,
        account: GatewayAccount,
        statement: str,
        kind: ReportKind,
        files: Sequence[SettlementFile],
        rows: Sequence[ReportRow],
    ) -> Days:
        zone = READERS[account.gateway].ZONE
        if kind is ReportKind.SETTLEMENT:
            offset = zone.utcoffset(None) or timedelta(0)
            others = await settlement_files.other_payouts(session, account.id, statement, offset)
            return reconciliation.of_batch(zone, rows, others)
        first = min(file.first_day for file in files if file.first_day)
        last = max(file.last_day for file in files if file.last_day)
        return reconciliation.of_day(
            zone, (first, last), await settlement_files.other_days(session, account.id, statement)
        )

    async def _heard(
        self, session: AsyncSession, account: GatewayAccount, movements: Sequence[Movement]
    ) -> list[Heard]:
        told = await store.told(session, account.id, {each.agreement_id for each in movements})
        if not told:
            return []
        opened = Account.of(account, merchants.opened_keys(self._vault, account))
        return await asyncio.to_thread(lambda: [heard for row in told for heard in self._said(opened, account, row)])

    def _said(self, opened: Account, account: GatewayAccount, row: Notification) -> Iterator[Heard]:
        """What a message says, its signature checked once more. One that cannot be opened any more says nothing."""
        try:
            message = journal.unseal(self._vault, row.sealed_message)
            found = notifications.read(account.gateway, opened, source=row.source, message=message)
        except (BadNotification, VaultError):  # the account's keys were replaced since it came
            return
        for news in found:
            if news.kind in _KINDS and news.request_id and news.verdict not in (None, Verdict.CANCELED):
                amount = news.amount
                yield Heard(
                    kind=_KINDS[news.kind],
                    id=row.id,
                    request_id=news.request_id,
                    moved=_MOVED.get(news.verdict),
                    amount=amount.value if amount else None,
                    currency=amount.currency if amount else None,
                )


def _inspect(gateway: str, path: Path) -> tuple[Report, str, list[str]]:
    """What a file is, the hash of its bytes, and some of the request ids in it."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    reader = READERS[gateway]
    with path.open("rb") as stream:
        report = reader.describe(path.name, stream)
    with path.open("rb") as stream, closing(_requests(reader.rows(path.name, stream))) as requests:
        return report, sha256, list(islice(requests, _SAMPLE))


def _requests(rows: Iterator[ReportRow | SummaryRow]) -> Generator[str, None, None]:
    return (row.request_id for row in rows if isinstance(row, ReportRow) and row.request_id)
