"""Money collected and given back on the real parts, the provider's files about it, and what differs between the two."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.reconciliation import Reconciled, Reconciliation
from activities.settlement_folder import SettlementFolder
from agreements.reconciliation import DifferenceStatus, Reason
from cli.reconcile import reconcile
from store.tables import Attempt, SettlementFile
from tests.promises.support import charge_row
from tests.support.house import Shop

DAYS = ("2027-01-31", "2027-02-01", "2027-02-02")
EVERY_DAY = {"frequency": "daily", "cycle_interval_days": 1, "payment_processing_day": None}


@dataclass
class Desk:
    """Somebody in finance, with a folder for the provider's files."""

    shop: Shop
    folder: Path

    @property
    def work(self) -> Reconciliation:
        return Reconciliation(self.shop.house.database, self.shop.house.vault)

    async def files(self, **faults: Any) -> dict[str, Path]:
        """The provider's files of all days, or of one, by name; earlier ones are overwritten."""
        query = {"since": DAYS[0], "date": DAYS[-1], "client_id": self.shop.client_id} | faults
        given = await self.shop.sandbox("settlements?" + "&".join(f"{name}={value}" for name, value in query.items()))
        paths: dict[str, Path] = {}
        for each in given["data"]:
            paths[each["name"]] = self.folder / each["name"]
            paths[each["name"]].write_text(each["content"], encoding="utf-8", newline="")
        return paths

    async def reconcile(self, paths: Sequence[Path]) -> dict[str, Reconciled]:
        """By statement."""
        results, problems = await reconcile(self.work, paths)
        assert problems == []
        return {each.statement: each for each in results}

    async def command(self, *words: str) -> tuple[int, str]:
        """`autodebit reconcile …` as a program; how it ended, and what it said."""
        settings = self.shop.house.settings
        running = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("autodebit")), "reconcile", *words),
            env=os.environ
            | {
                "AUTODEBIT_ENVIRONMENT": "dev",
                "AUTODEBIT_DATABASE_URL": settings.database_url,
                "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
                "AUTODEBIT_VAULT_KEYS": ",".join(key.get_secret_value() for key in settings.vault_keys),
                "AUTODEBIT_VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await running.communicate()
        return await running.wait(), (out + err).decode()


def wrong(found: Reconciled) -> Counter[Reason]:
    """What is open, by reason."""
    return Counter(each.reason for each in found.open)


async def collected(shop: Shop) -> list[str]:
    """Two agreements debited on each of three days; one debit is refunded in part, another by hand at the provider."""
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreements = [await shop.agree(clock, terms=EVERY_DAY), await shop.agree(clock, terms=EVERY_DAY)]
    await shop.advance(clock, f"{DAYS[-1]}T06:00:00Z")
    paid = [await charge_row(shop.house, agreement, cycle=2) for agreement in agreements]
    await shop.call("POST", f"/v1/charges/{paid[0].id}/refunds", {"amount": {"currency": "PHP", "value": 10000}})
    async with shop.house.database.transaction() as session:
        attempt = (await session.exec(select(Attempt).where(Attempt.charge_id == paid[1].id))).one()
    await shop.sandbox(f"payments/{attempt.gateway_request_id}/refund", {"value": 5000})
    for charge in paid:
        async with asyncio.timeout(60):
            while (await shop.call("GET", f"/v1/charges/{charge.id}"))["status"] != "partially_refunded":
                await asyncio.sleep(0.05)
    return agreements


async def test_collect_refund_settle_reconcile(shop: Shop, tmp_path: Path) -> None:
    desk = Desk(shop, tmp_path)
    agreements = await collected(shop)
    payout = "settlement PHP 2027020300001"

    # A payout with one missing, one altered and one unknown row, and nothing else to go by: exactly these three.
    bad = await desk.files(missing=1, altered=1, unknown=1)
    details = next(path for name, path in bad.items() if name.startswith("settlementItems"))
    table, page = tmp_path / "differences.csv", tmp_path / "report.html"
    code, said = await desk.command(str(details), "--json", "--csv", str(table), "--html", str(page))
    [result] = json.loads(said)
    assert (code, result["statement"], result["account"]) == (1, payout, shop.account)
    told = {each["reason"]: each for each in result["differences"]}
    assert len(result["differences"]) == 3
    assert told.keys() == {Reason.MISSING, Reason.AMOUNT, Reason.UNKNOWN}
    first, second = [await charge_row(shop.house, agreement) for agreement in agreements]
    assert {told[Reason.MISSING]["charge"], told[Reason.AMOUNT]["charge"]} == {first.id, second.id}
    assert told[Reason.AMOUNT]["what_differs"] == (
        "The payment is PHP 499.00 in the ledger and PHP 499.01 at the provider."
        " The provider's notification said succeeded, PHP 499.00."
    )
    assert "The provider's notification said succeeded, PHP 499.00." in told[Reason.MISSING]["what_differs"]
    assert told[Reason.UNKNOWN]["request_id"] == "stranger-1"
    [payments, refunds] = result["totals"]
    assert (payments["matched"], payments["different"], payments["matched_amount"]) == (4, 3, 4 * 49900)
    assert (refunds["matched"], refunds["matched_amount"]) == (2, 15000)
    cells = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"))))
    assert {row["agreement"] for row in cells} == {*agreements, ""}
    assert all(agreement in page.read_text(encoding="utf-8") for agreement in agreements)

    # An operator explains one of them; the others are still there.
    resolved = told[Reason.UNKNOWN]["id"]
    assert (await desk.command("resolve", resolved, "--note", "paid by hand, ticket 7")) == (
        0,
        f"{resolved} is resolved\n",
    )
    assert wrong((await desk.reconcile([details]))[payout]) == {Reason.MISSING: 1, Reason.AMOUNT: 1}

    # The provider sends corrected files, and those of the days: everybody agrees, and what was open closes by itself.
    good = await desk.files()
    folder = tmp_path / "incoming" / shop.account / "v1" / "settlements"
    folder.mkdir(parents=True)
    for each in good.values():
        each.rename(folder / each.name)
    (folder / "transactionItems_20270203_000.csv").write_text("still being written")
    work = SettlementFolder(shop.house.database, desk.work, tmp_path / "incoming")
    assert await ActivityEnvironment().run(work.reconcile) == 0
    found = await desk.reconcile([folder / name for name in good])
    assert found.keys() == {payout, *(f"transactions {day}" for day in DAYS)}
    assert [each.statement for each in found.values() if each.open or each.matching.findings] == []
    notes = Counter(each.note for each in found[payout].differences)
    assert notes == {"the books agree now": 2, "paid by hand, ticket 7": 1}
    assert all(each.status is DifferenceStatus.RESOLVED for each in found[payout].differences)
    [payments, refunds] = found[payout].matching.totals
    assert (payments.matched, refunds.matched) == (6, 2)
    assert found[payout].matching.settled == {"PHP": 6 * (49900 - 998) - 15000}

    # The same files once more change nothing.
    async def everything() -> list[Any]:
        async with shop.house.database.transaction() as session:
            rows = await session.exec(select(SettlementFile).where(SettlementFile.account_id == shop.account))
            return sorted((row.id, row.superseded_by) for row in rows)

    before = await everything()
    assert await ActivityEnvironment().run(work.reconcile) == 0
    again = await desk.reconcile([folder / name for name in good])
    assert await everything() == before
    assert [each.id for each in again[payout].differences] == [each.id for each in found[payout].differences]

    # The report of a day, in which the same goes wrong.
    bad = await desk.files(since=DAYS[0], date=DAYS[0], missing=1, altered=1, unknown=1)
    [day] = (await desk.reconcile([bad["transactionItems_20270131_000.csv"]])).values()
    assert wrong(day) == {Reason.MISSING: 1, Reason.AMOUNT: 1, Reason.UNKNOWN: 1}
    corrected = folder / "transactionItems_20270131_000.csv"
    _, problems = await reconcile(desk.work, [corrected])
    assert problems == [f"{corrected}: it was taken in before and corrected since; it does not come back"]
