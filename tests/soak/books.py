"""Everybody's books after a run, and the comparisons that hold whatever was lived through."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.audit import differences
from tests.soak.merchant import Json

_OPEN = ("prepared", "sent", "processing", "unknown", "pending")


@dataclass(frozen=True)
class Books:
    """What every side says; `received` are verified webhooks by event id, `broken` answers nobody should get."""

    agreements: Sequence[Json]
    charges: list[Json]
    events: Sequence[Json]
    ledger: list[Json]
    received: Mapping[str, Json]
    broken: Sequence[str]


@dataclass(frozen=True)
class Finding:
    """One line of an audit: what was compared, how many there are of it, and the differences."""

    what: str
    count: int
    differences: list[str]


def sound(books: Books) -> list[Finding]:
    """What must hold of any run that has come to its end."""
    debits = [row for row in books.ledger if row["kind"] == "debit"]
    return [
        Finding("debits at the provider, none twice", len(debits), list(_double(kept(books.ledger)))),
        Finding(
            "charges, equal to the provider's ledger", len(books.charges), differences(books.charges, books.ledger)
        ),
        Finding(
            "attempts, none left open",
            sum(len(charge["attempts"]) for charge in books.charges),
            list(_open(books.charges)),
        ),
        Finding("events, numbered without gaps", len(books.events), list(_gaps(by_agreement(books.events)))),
        Finding("payments, announced once", len(books.charges), list(_announced(books))),
        Finding("answers nobody should get", len(books.broken), list(books.broken)),
    ]


Kept = Mapping[str, Sequence[Json]]
"""Successful debits that were not given back, by the order they were for."""


def kept(ledger: Sequence[Json]) -> Kept:
    canceled = {row["request_id"] for row in ledger if (row["kind"], row["status"]) == ("cancel", "succeeded")}
    back = refunded(ledger)
    found: dict[str, list[Json]] = defaultdict(list)
    for row in ledger:
        if row["kind"] != "debit" or row["status"] != "succeeded" or row["request_id"] in canceled:
            continue
        if back[row["merchant_reference"]] < row["amount"]:
            found[row["merchant_reference"]].append(row)
    return found


def refunded(ledger: Sequence[Json]) -> Counter[str]:
    """Minor units that went back, by order."""
    back: Counter[str] = Counter()
    for row in ledger:
        if (row["kind"], row["status"]) == ("refund", "succeeded"):
            back[row["merchant_reference"]] += row["amount"]
    return back


def by_agreement(events: Sequence[Json]) -> Mapping[str, Sequence[Json]]:
    """In the order of the feed."""
    told: dict[str, list[Json]] = defaultdict(list)
    for event in events:
        told[event["data"]["agreement"]["id"]].append(event)
    return told


def lost(events: Sequence[Json], received: Mapping[str, Json]) -> Iterator[str]:
    """Events that never came by webhook, or came otherwise, and webhooks about none of them."""
    known = {event["id"]: event for event in events}
    for id_, event in known.items():
        if id_ not in received:
            yield f"event {id_} ({event['type']}, {event['created_at']}) never reached the webhook endpoint"
        elif received[id_] != event:
            yield f"event {id_}: the webhook says {received[id_]}, the feed {event}"
    yield from (f"webhook {id_} is about no event of the feed" for id_ in received.keys() - known.keys())


def _double(kept: Kept) -> Iterator[str]:
    for order, rows in kept.items():
        if len(rows) > 1:
            yield f"{order}: {len(rows)} debits were kept, {', '.join(row['request_id'] for row in rows)}"


def _open(charges: Sequence[Json]) -> Iterator[str]:
    for charge in charges:
        for one in (*charge["attempts"], *charge["refunds"]):
            if one["status"] in _OPEN:
                yield f"{one['gateway_request_id']}: {one['status']} to the end"


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
