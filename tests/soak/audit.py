"""The audit of a run: the engine's ledger, the provider's, the event feed and the webhooks, each against the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.soak.books import Books, Finding, Kept, by_agreement, kept, lost, refunded, sound
from tests.soak.lives import Subscriber, due_at, kept_at_least_and_most
from tests.soak.merchant import Json

_ON_ITS_DAY = timedelta(days=3)
"""A declined debit is tried again the next day; under a test clock an outage takes no time at all."""

_WITH_ANOTHER_CARD = timedelta(days=11)
"""The customer acts when their month's debits are over."""


@dataclass(frozen=True)
class LifeBooks(Books):
    """`subscribers` by agreement; `followed` is what whoever follows the feed has seen."""

    subscribers: Mapping[str, Subscriber]
    followed: Sequence[Json]


def audit(books: LifeBooks) -> list[Finding]:
    """Every comparison: those of any run, then those of what was lived through."""
    debits = kept(books.ledger)
    cycles = sum(who.cycles for who in books.subscribers.values())
    return [
        *sound(books),
        Finding("cycles, none missed", cycles, list(_missed(books, debits, by_agreement(books.events)))),
        Finding("debits kept, each on its day", sum(map(len, debits.values())), list(_off_day(books, debits))),
        Finding("refunds, made once", sum(row["kind"] == "refund" for row in books.ledger), list(_given_back(books))),
        Finding("agreements, ended and added up", len(books.agreements), list(_ends(books, debits))),
        Finding("events followed, none skipped", len(books.followed), list(_skipped(books))),
        Finding("webhooks received, none lost", len(books.received), list(lost(books.events, books.received))),
    ]


def _missed(books: LifeBooks, kept: Kept, events: Mapping[str, Sequence[Json]]) -> Iterator[str]:
    for agreement, who in books.subscribers.items():
        for cycle in range(1, who.cycles + 1):
            least, most = kept_at_least_and_most(who, cycle, events[agreement])
            found = len(kept.get(f"{agreement}-c{cycle}", ()))
            if not least <= found <= most:
                yield f"{agreement} ({who.life}) cycle {cycle}: {found} debits kept, expected {least} to {most}"
    orders = {
        f"{agreement}-c{cycle}" for agreement, who in books.subscribers.items() for cycle in range(1, who.cycles + 1)
    }
    yield from (f"{order}: nobody agreed to this debit" for order in kept if order not in orders)


def _off_day(books: LifeBooks, kept: Kept) -> Iterator[str]:
    for order, rows in kept.items():
        agreement, _, cycle = order.rpartition("-c")
        who = books.subscribers.get(agreement)
        if who is None or who.life.command == "pause and collect":
            continue
        for row in rows:
            late = datetime.fromisoformat(row["virtual_time"]) - due_at(int(cycle))
            first = who.pays_first and cycle == "1"
            soon = timedelta(0) if not first else who.begins - due_at(1)
            if not soon <= late < (_WITH_ANOTHER_CARD if who.gives_card(int(cycle)) else _ON_ITS_DAY):
                yield f"{row['request_id']}: debited {late} after it was due"
            if row["amount"] != who.amount:
                yield f"{row['request_id']}: {row['amount']} debited, {who.amount} owed"


def _given_back(books: LifeBooks) -> Iterator[str]:
    """What the merchant asked for has gone back, once; nothing else has, but for what a revocation overtook, what only
    proved a card, and what was paid for an agreement that was given up. That none of those was kept is seen by cycle.
    """
    asked = {
        f"{agreement}-c{cycle}": amount
        for agreement, who in books.subscribers.items()
        for cycle, amount in who.refunded.items()
    }
    back = refunded(books.ledger)
    proofs = {
        _order(charge): charge["amount"]["value"]
        for charge in books.charges
        if charge["purpose"] == "verification" or charge["agreement"] not in books.subscribers
    }
    for order in asked.keys() | back.keys():
        who = books.subscribers.get(order.rpartition("-c")[0])
        overtaken = who is not None and who.life.command == "revoke" and back[order] == who.amount
        if back[order] != asked.get(order, 0) and not overtaken and back[order] != proofs.get(order):
            yield f"{order}: {back[order]} went back, {asked.get(order, 0)} was asked for"


def _order(charge: Json) -> str:
    """The provider's name of what a charge is for."""
    return f"{charge['agreement']}-c{charge['cycle']}" if charge["cycle"] else str(charge["id"])


def _ends(books: LifeBooks, kept: Kept) -> Iterator[str]:
    for agreement in books.agreements:
        id_, status, paid = agreement["id"], agreement["status"], agreement["totals"]["amount_paid"]
        who = books.subscribers.get(id_)
        if who is None:
            if status != "authorization_failed":
                yield f"{id_}: {status}, though its customer got lost"
            continue
        expected = "revoked" if who.life.command == "revoke" else "completed"
        if status != expected:
            yield f"{id_} ({who.life}): {status}, expected {expected}"
        # A card that an agreement at Ottu holds cannot be deleted there.
        told = ("done", "failed") if who.gateway == "ottu" else ("done",)
        if expected == "revoked" and agreement["revocation"]["provider_status"] not in told:
            yield f"{id_}: the provider was not told of the revocation, {agreement['revocation']}"
        sums = sum(row["amount"] for order, rows in kept.items() if order.startswith(f"{id_}-c") for row in rows)
        if (paid or {"value": 0})["value"] != sums:
            yield f"{id_}: {paid} paid, {sums} kept by the provider"
    missing = books.subscribers.keys() - {agreement["id"] for agreement in books.agreements}
    yield from (f"{id_}: made, but not in the list" for id_ in missing)


def _skipped(books: LifeBooks) -> Iterator[str]:
    """Whoever follows the feed sees what whoever reads it from the start sees, in the same order."""
    followed, whole = [event["id"] for event in books.followed], [event["id"] for event in books.events]
    if followed != whole[: len(followed)]:
        yield f"the feed as followed differs from the feed: skipped {sorted(set(whole) - set(followed))}"
    elif len(followed) < len(whole):
        yield f"{len(whole) - len(followed)} events were not seen by whoever follows the feed"
