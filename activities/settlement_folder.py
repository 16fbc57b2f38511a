"""The folder in which providers' settlement files arrive: what is new in it is taken in and reconciled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from temporalio import activity

from activities.contract import RECONCILE
from activities.reconciliation import Reconciled, Reconciliation
from agreements.reconciliation import Reason
from agreements.reconciliation.reports import BadReport, IncompleteReport
from gateways.reports import READERS
from store.database import Database
from store.settlement_files import WrongAccount
from store.tables import GatewayAccount
from telemetry import metrics

log = structlog.get_logger(__name__)


class SettlementFolder:
    """Looking into it twice changes nothing: a file is known by its bytes, and one that could not be taken in is tried
    again with every look.
    """

    def __init__(self, database: Database, work: Reconciliation, folder: Path | None) -> None:
        """`folder` None: there is none, and nothing to do."""
        self._database, self._work, self._folder = database, work, folder
        if folder is not None:
            for gateway in READERS:  # an increase is only seen by Prometheus where there was a value before
                for reason in Reason:
                    metrics.SETTLEMENT_DIFFERENCES.labels(gateway, reason.value)

    @activity.defn(name=RECONCILE)
    async def reconcile(self) -> int:
        """Takes in what is new, then looks at whatever that, or the ledger since the last time, may have changed.
        How many differences are open in what it looked at.
        """
        if self._folder is None:
            return 0
        for path in await asyncio.to_thread(_files, self._folder):
            await self._take_in(self._folder, path)
        still_open = 0
        for account_id, statement in await self._work.due():
            found = await self._work.reconcile(account_id, statement)
            await self._tell(found)
            still_open += len(found.open)
        return still_open

    async def _take_in(self, folder: Path, path: Path) -> None:
        """One that is bad or not complete must not hold up the others."""
        account = next((part for part in path.relative_to(folder).parts[:-1] if part.startswith("gwa_")), None)
        try:
            taken = await self._work.take_in(path, account=account)
        except IncompleteReport:
            log.info("settlement_file_incomplete", file=path.name)
        except (BadReport, WrongAccount) as error:
            log.error("settlement_file_refused", file=path.name, why=str(error))
        else:
            if taken.new:
                log.info(
                    "settlement_file_taken_in", file=path.name, rows=taken.file.rows, account=taken.file.account_id
                )

    async def _tell(self, found: Reconciled) -> None:
        if not found.new:
            return
        async with self._database.transaction() as session:
            gateway = (await session.get_one(GatewayAccount, found.account_id)).gateway
        for difference in found.new:
            log.warning(
                "settlement_difference",
                difference=difference.id,
                account=found.account_id,
                statement=found.statement,
                reason=difference.reason.value,
                status=difference.status.value,
                agreement=difference.agreement_id,
                charge=difference.charge_id,
            )
            metrics.SETTLEMENT_DIFFERENCES.labels(gateway, difference.reason.value).inc()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.csv") if path.is_file())
