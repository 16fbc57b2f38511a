"""What the sandbox saw, which is what a provider would: every debit tried, and when it came."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx


class WrongCount(Exception):
    """Not exactly one debit for everything that was due: a failure of the engine, or of the bench."""


@dataclass(frozen=True)
class Debit:
    """One debit in the sandbox's ledger."""

    order: str
    at: datetime
    succeeded: bool


async def debits(client: httpx.AsyncClient, sandbox_url: str) -> list[Debit]:
    """All of them, oldest first. Raises httpx.HTTPError."""
    answer = await client.get(f"{sandbox_url}/_sandbox/ledger")
    answer.raise_for_status()
    return [
        Debit(row["merchant_reference"], datetime.fromisoformat(row["virtual_time"]), row["status"] == "succeeded")
        for row in answer.json()["data"]
        if row["kind"] == "debit"
    ]


def one_each(orders: Sequence[str], seen: Sequence[Debit]) -> list[Debit]:
    """The debits of these orders, oldest first. Raises WrongCount unless each was debited once, with success."""
    wanted = set(orders)
    found = [debit for debit in seen if debit.order in wanted]
    tries = Counter(debit.order for debit in found)
    wrong = [order for order in orders if tries[order] != 1]
    if wrong:
        raise WrongCount(
            f"{len(wrong)} of {len(orders)} were not debited exactly once, e.g. {wrong[0]}: {tries[wrong[0]]}"
        )
    if failed := [debit.order for debit in found if not debit.succeeded]:
        raise WrongCount(f"{len(failed)} of {len(orders)} debits did not succeed, e.g. {failed[0]}")
    return sorted(found, key=lambda debit: debit.at)


def most_in_one_second(times: Sequence[datetime]) -> int:
    """The most debits in any window of one second, wherever it begins; one a whole second later is outside."""
    seconds = sorted(time.timestamp() for time in times)
    return max((bisect_left(seconds, start + 1) - n for n, start in enumerate(seconds)), default=0)
