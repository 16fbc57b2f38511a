"""What people see of lists and of single objects: rich tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import in_words

_PIPE = 500
"""Columns of a pipe: nothing is folded there."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but line breaks and tabulators."""

_COLORS: Mapping[str, str] = {
    "active": "green",
    "succeeded": "green",
    "completed": "green",
    "past_due": "yellow",
    "retrying": "yellow",
    "unknown": "yellow",
    "action_required": "yellow",
    "paused": "yellow",
    "failed": "red",
    "authorization_failed": "red",
    "revoked": "magenta",
}

Json = dict[str, Any]


def console() -> Console:
    """Standard output as it is now."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE, highlight=False)


def visible(said: str) -> str:
    """What others have written, for a terminal: they could make it show, or do, what nobody asked for."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", said)


def text(said: str) -> str:
    """The same on one line, in which nothing is taken for markup."""
    return escape(visible(said).replace("\n", " ").replace("\t", " "))


def agreements(found: Sequence[Json]) -> None:
    """One row each."""
    _print(
        ("agreement", "reference", "status", "customer", "pays", "next debit", "paid"),
        [
            (
                each["id"],
                text(each["reference"]),
                status(each["status"]),
                text(each["customer"]["id"]),
                in_words.rhythm(each["terms"]),
                in_words.instant(each["next_charge_at"]),
                in_words.total(each["totals"]["amount_paid"]),
            )
            for each in found
        ],
    )


def charges(found: Sequence[Json]) -> None:
    """One row each."""
    _print(
        ("charge", "agreement", "for", "status", "amount", "due", "next attempt", "paid", "attempts"),
        [
            (
                each["id"],
                each["agreement"],
                purpose(each),
                status(each["status"]),
                in_words.amount(each["amount"]),
                in_words.instant(each["due_at"]),
                in_words.instant(each["next_attempt_at"]),
                in_words.instant(each["paid_at"]),
                str(len(each["attempts"])),
            )
            for each in found
        ],
    )


def attempts(charge: Json) -> None:
    """What was tried, with what became of it."""
    _print(
        ("attempt", "status", "amount", "sent", "declined", "the provider's request id"),
        [
            (
                str(each["number"]),
                status(each["status"]),
                in_words.amount(each["amount"]),
                in_words.instant(each["sent_at"]),
                text(_decline(each["decline"])),
                each["gateway_request_id"],
            )
            for each in charge["attempts"]
        ],
    )


def refunds(charge: Json) -> None:
    """What went back."""
    _print(
        ("refund", "status", "amount", "asked by", "reason"),
        [
            (
                each["id"],
                status(each["status"]),
                in_words.amount(each["amount"]),
                each["origin"],
                text(each["reason"] or ""),
            )
            for each in charge["refunds"]
        ],
    )


def plain(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Any table."""
    _print(names, [[text(cell) for cell in row] for row in rows])


def status(word: str) -> str:
    """In its color."""
    color = _COLORS.get(word)
    words = word.replace("_", " ")
    return f"[{color}]{words}[/{color}]" if color else words


def purpose(charge: Json) -> str:
    """What a charge is for."""
    if charge["cycle"] is not None:
        return f"cycle {charge['cycle']}"
    return text(charge["description"] or charge["purpose"].replace("_", " "))


def _decline(decline: Json | None) -> str:
    if decline is None:
        return ""
    return f"{decline['code']} ({decline['raw_code']})" if decline["raw_code"] else str(decline["code"])


def _print(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name == names[0], overflow="fold")  # an id cut short is of no use
    for row in rows:
        table.add_row(*row)
    console().print(table)
