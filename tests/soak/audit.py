"""The audit of a run: the engine's ledger, the provider's, the event feed and the webhooks, each against the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.audit import differences
from tests.soak.lives import Subscriber, due_at, kept_at_least_and_most
from tests.soak.merchant import Json

_ON_ITS_DAY = timedelta(days=3)
"""A declined debit is tried again the next day; under a test clock an outage takes no time at all."""

_WITH_ANOTHER_CARD = timedelta(days=11)
"""The customer acts when their month's debits are over."""
_OPEN = ("prepared", "sent", "processing", "unknown", "pending")


@dataclass(frozen=True)
class Books:
    """What every side says. `subscribers` by agreement; `received` are verified webhooks by event id."""

    subscribers: Mapping[str, Subscriber]
    agreements: Sequence[Json]
    charges: list[Json]
    events: Sequence[Json]
    ledger: list[Json]
    followed: Sequence[Json]
    received: Mapping[str, Json]
    broken: Sequence[str]


@dataclass(frozen=True)
class Finding:
    """One line of the audit: what was compared, how many there are of it, and the differences."""

    what: str
    count: int
    differences: list[str]


def audit(books: Books) -> list[Finding]:
    """Every comparison, in the order in which a person would ask for them."""
    kept = _kept(books.ledger)
    events: dict[str, list[Json]] = defaultdict(list)
    for event in books.events:
        events[event["data"]["agreement"]["id"]].append(event)
    debits = [row for row in books.ledger if row["kind"] == "debit"]
    cycles = sum(who.cycles for who in books.subscribers.values())
    return [
        Finding("debits at the provider, none twice", len(debits), list(_double(kept))),
        Finding("cycles, none missed", cycles, list(_missed(books, kept, events))),
        Finding("debits kept, each on its day", sum(map(len, kept.values())), list(_off_day(books, kept))),
        Finding(
            "charges, equal to the provider's ledger", len(books.charges), differences(books.charges, books.ledger)
        ),
        Finding(
            "attempts, none left open",
            sum(len(charge["attempts"]) for charge in books.charges),
            list(_open(books.charges)),
        ),
        Finding("refunds, made once", sum(row["kind"] == "refund" for row in books.ledger), list(_given_back(books))),
        Finding("agreements, ended and added up", len(books.agreements), list(_ends(books, kept))),
        Finding("events, numbered without gaps", len(books.events), list(_gaps(events))),
        Finding("payments, announced once", len(books.charges), list(_announced(books))),
        Finding("events followed, none skipped", len(books.followed), list(_skipped(books))),
        Finding("webhooks received, none lost", len(books.received), list(_lost(books))),
        Finding("answers nobody should get", len(books.broken), list(books.broken)),
    ]


Kept = Mapping[str, Sequence[Json]]
"""Successful debits that were not given back, by the order they were for."""


def _kept(ledger: Sequence[Json]) -> Kept:
    canceled = {row["request_id"] for row in ledger if (row["kind"], row["status"]) == ("cancel", "succeeded")}
    back = _refunds(ledger)
    kept: dict[str, list[Json]] = defaultdict(list)
    for row in ledger:
        if row["kind"] != "debit" or row["status"] != "succeeded" or row["request_id"] in canceled:
            continue
        if back[row["merchant_reference"]] < row["amount"]:
            kept[row["merchant_reference"]].append(row)
    return kept


def _refunds(ledger: Sequence[Json]) -> Counter[str]:
    """Minor units that went back, by order."""
    back: Counter[str] = Counter()
    for row in ledger:
        if (row["kind"], row["status"]) == ("refund", "succeeded"):
            back[row["merchant_reference"]] += row["amount"]
    return back


def _double(kept: Kept) -> Iterator[str]:
    for order, rows in kept.items():
        if len(rows) > 1:
            yield f"{order}: {len(rows)} debits were kept, {', '.join(row['request_id'] for row in rows)}"


def _open(charges: Sequence[Json]) -> Iterator[str]:
    for charge in charges:
        for one in (*charge["attempts"], *charge["refunds"]):
            if one["status"] in _OPEN:
                yield f"{one['gateway_request_id']}: {one['status']} to the end"


def _missed(books: Books, kept: Kept, events: Mapping[str, Sequence[Json]]) -> Iterator[str]:
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


def _off_day(books: Books, kept: Kept) -> Iterator[str]:
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


def _given_back(books: Books) -> Iterator[str]:
    """What the merchant asked for has gone back, once; nothing else has, but for what a revocation overtook, what only
    proved a card, and what was paid for an agreement that was given up. That none of those was kept is seen by cycle.
    """
    asked = {
        f"{agreement}-c{cycle}": amount
        for agreement, who in books.subscribers.items()
        for cycle, amount in who.refunded.items()
    }
    back = _refunds(books.ledger)
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


def _ends(books: Books, kept: Kept) -> Iterator[str]:
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


def _gaps(events: Mapping[str, Sequence[Json]]) -> Iterator[str]:
    for agreement, told in events.items():
        sequence = [event["sequence"] for event in told]
        if sequence != list(range(1, len(told) + 1)):
            yield f"{agreement}: events numbered {sequence}"


def _announced(books: Books) -> Iterator[str]:
    told = Counter(event["data"]["charge"]["id"] for event in books.events if event["type"] == "charge.succeeded")
    for charge in books.charges:
        expected = 1 if charge["paid_at"] else 0
        if told[charge["id"]] != expected:
            yield f"charge {charge['id']} ({charge['status']}): announced as paid {told[charge['id']]} times"


def _skipped(books: Books) -> Iterator[str]:
    """Whoever follows the feed sees what whoever reads it from the start sees, in the same order."""
    followed, whole = [event["id"] for event in books.followed], [event["id"] for event in books.events]
    if followed != whole[: len(followed)]:
        yield f"the feed as followed differs from the feed: skipped {sorted(set(whole) - set(followed))}"
    elif len(followed) < len(whole):
        yield f"{len(whole) - len(followed)} events were not seen by whoever follows the feed"


def _lost(books: Books) -> Iterator[str]:
    known = {event["id"]: event for event in books.events}
    for id_, event in known.items():
        if id_ not in books.received:
            yield f"event {id_} ({event['type']}, {event['created_at']}) never reached the webhook endpoint"
        elif books.received[id_] != event:
            yield f"event {id_}: the webhook says {books.received[id_]}, the feed {event}"
    yield from (f"webhook {id_} is about no event of the feed" for id_ in books.received.keys() - known.keys())
