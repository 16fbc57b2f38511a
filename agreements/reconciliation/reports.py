"""A provider's file as a whole, whichever provider's it is, and what may be wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from agreements.reconciliation.records import ReportKind


@dataclass(frozen=True)
class Report:
    """What a file is, read to its end. `statement` names what it is a part of: `transactions 2025-08-01`,
    `settlement USD 2025080400001`.
    """

    kind: ReportKind
    statement: str
    name: str
    rows: int
    customer: str | None = None
    """The merchant's id at the acquirer."""
    first_day: date | None = None
    last_day: date | None = None


class BadReport(Exception):
    """A file that cannot be taken in; the text says what is wrong, and in which line and column."""

    def __init__(self, problem: str, line: int | None = None, column: str | None = None) -> None:
        place = ", ".join([*([f"line {line}"] if line else []), *([f"column {column}"] if column else [])])
        super().__init__(f"{place}: {problem}" if place else problem)
        self.line, self.column = line, column


class IncompleteReport(BadReport):
    """The file has no end: it is still being written or transferred, and may be whole later."""
