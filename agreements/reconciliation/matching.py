"""Three books held against each other: the provider's report, the ledger, and what the provider told us at the time.

Every row of the report is looked up in the ledger and judged by itself; then every movement of the ledger is looked for
in the report. One row or movement makes one difference at most, with the gravest reason. The order in which anything
comes in changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agreements.reconciliation.days import Days, Expected
from agreements.reconciliation.records import (
    Finding,
    Heard,
    Matching,
    Movement,
    Reason,
    ReportRow,
    RowKind,
    RowOutcome,
    Side,
    State,
)
from agreements.reconciliation.totals import Totals

_PAYS = (RowKind.PAYMENT, RowKind.PAYMENT_REVERSAL, RowKind.DISPUTE)
_UNDONE_BY = {RowKind.PAYMENT: RowKind.PAYMENT_REVERSAL, RowKind.REFUND: RowKind.REFUND_REVERSAL}


@dataclass(frozen=True)
class Books:
    """Everything a statement is held against.

    `movements`: those its rows may be about, and those its days make it account for. `elsewhere`: rows of other
    statements of the same kind with the same ids. `counterpart`: rows of the other kind of report with the same ids.
    """

    rows: Iterable[ReportRow]
    movements: Iterable[Movement]
    days: Days
    heard: Iterable[Heard] = ()
    elsewhere: Iterable[ReportRow] = ()
    counterpart: Iterable[ReportRow] = ()


def match(books: Books) -> Matching:
    """All differences of one statement, and its totals."""
    matcher = _Matcher.over(books)
    totals = Totals()
    findings: list[Finding] = []
    for row in matcher.rows:
        if row.kind is RowKind.OTHER:
            totals.noted(row)
            continue
        found = matcher.judge(row)
        totals.row(row, found)
        findings += [found] if found else []
    for movement in matcher.unseen():
        expected = books.days.expect(movement)
        if expected is Expected.ELSEWHERE:
            continue
        found = matcher.missing(movement, pending=expected is Expected.PERHAPS)
        totals.missing(movement, pending=found.pending)
        findings.append(found)
    findings.sort(key=lambda each: (each.subject, each.reason, each.source, each.line or 0))
    return totals.matching(findings)


@dataclass
class _Matcher:
    rows: list[ReportRow]
    movements: list[Movement]
    by_request: Mapping[tuple[RowKind, str], Movement]
    by_provider_id: Mapping[tuple[RowKind, str], Movement]
    heard: Mapping[tuple[RowKind, str], list[Heard]]
    elsewhere: list[ReportRow]
    counterpart: Mapping[tuple[RowKind, str], ReportRow]
    first: dict[tuple[RowKind, str], tuple[str, int]] = field(default_factory=dict)
    kinds_of: dict[str, set[RowKind]] = field(default_factory=lambda: defaultdict(set))
    seen: set[str] = field(default_factory=set)

    @classmethod
    def over(cls, books: Books) -> _Matcher:
        movements = sorted(books.movements, key=lambda each: each.id)
        heard: dict[tuple[RowKind, str], list[Heard]] = defaultdict(list)
        for each in sorted(books.heard, key=lambda one: one.id):
            heard[each.kind, each.request_id].append(each)
        made = cls(
            rows=sorted(books.rows, key=_place),
            movements=movements,
            by_request={(each.kind, each.request_id): each for each in movements},
            by_provider_id={(each.kind, each.provider_id): each for each in movements if each.provider_id},
            heard=heard,
            elsewhere=list(books.elsewhere),
            counterpart={(row.kind, row.transaction_id): row for row in sorted(books.counterpart, key=_place)},
        )
        for row in sorted([*made.rows, *made.elsewhere], key=_place):
            made._take_in(row)
        return made

    def _take_in(self, row: ReportRow) -> None:
        for key in _keys(row):
            self.first.setdefault(key, _place(row))
        movement = self.movement(row)
        if movement is not None:
            self.seen.add(movement.id)
            self.kinds_of[movement.id].add(row.kind)
        if row.kind is RowKind.CANCEL and (paid := self._payment(row)) is not None:
            self.kinds_of[paid.id].add(RowKind.CANCEL)

    def movement(self, row: ReportRow) -> Movement | None:
        """What of the ledger a row is about."""
        if row.kind is RowKind.PAYMENT:
            return self._find(RowKind.PAYMENT, row.request_id, row.transaction_id)
        if row.kind in _PAYS:
            return self._find(RowKind.PAYMENT, row.request_id, row.transaction_id) or self._payment(row)
        if row.kind is RowKind.CANCEL:
            paid = self._payment(row)
            return self.by_request.get((RowKind.CANCEL, paid.request_id)) if paid else None
        return self._find(RowKind.REFUND, row.request_id, row.transaction_id)

    def _find(self, kind: RowKind, request_id: str | None, provider_id: str | None) -> Movement | None:
        found = self.by_request.get((kind, request_id)) if request_id else None
        return found or (self.by_provider_id.get((kind, provider_id)) if provider_id else None)

    def _payment(self, row: ReportRow) -> Movement | None:
        """The payment that a row gives back or disputes."""
        own = row.request_id if row.kind is RowKind.CANCEL else None
        return self._find(RowKind.PAYMENT, row.original_request_id or own, row.original_id)

    def judge(self, row: ReportRow) -> Finding | None:
        """The gravest thing there is to say about a row; None where everybody agrees."""
        movement = self.movement(row)
        if any(self.first[key] != _place(row) for key in _keys(row)):
            return self._finding(Reason.DUPLICATE, row, movement)
        if row.kind is RowKind.DISPUTE:
            return self._finding(Reason.DISPUTED, row, movement)
        if movement is None:
            return self._not_ours(row)
        reason = self._verdict(row, movement)
        return self._finding(reason, row, movement) if reason else None

    def _not_ours(self, row: ReportRow) -> Finding | None:
        if row.kind in _PAYS:
            return self._finding(Reason.UNKNOWN, row, None)
        paid = self._payment(row)
        if row.kind is RowKind.CANCEL and paid is not None and paid.state is not State.MOVED:
            return None  # it ended a payment we never took for paid: a record of its own was not made
        if row.kind is RowKind.REFUND and paid is None:
            return self._finding(Reason.REFUND_WITHOUT_PAYMENT, row, None)
        return self._finding(Reason.REFUND_UNKNOWN if paid else Reason.UNKNOWN, row, None, paid)

    def _verdict(self, row: ReportRow, movement: Movement) -> Reason | None:
        if row.kind is RowKind.PAYMENT_REVERSAL:
            return Reason.PAYMENT_REVERSED if movement.state is State.MOVED else None
        if row.kind is RowKind.REFUND_REVERSAL:
            return Reason.REFUND_BOUNCED if movement.state is State.MOVED else None
        checks: tuple[tuple[Reason, Callable[[ReportRow, Movement], bool]], ...] = (
            (Reason.STATUS, self._other_status),
            (Reason.CURRENCY, lambda theirs, ours: theirs.currency != ours.currency),
            (Reason.AMOUNT, lambda theirs, ours: theirs.amount != ours.amount),
            (Reason.IDENTITY, _other_identity),
            (Reason.FEE, self._other_fee),
            (Reason.NOTIFICATION, self._told_otherwise),
        )
        return next((reason for reason, differs in checks if differs(row, movement)), None)

    def _other_status(self, row: ReportRow, movement: Movement) -> bool:
        if row.outcome is RowOutcome.FAILED:
            return movement.state in (State.MOVED, State.UNDECIDED)
        if row.outcome is RowOutcome.PROCESSING:
            return movement.state is not State.UNDECIDED
        if row.outcome is RowOutcome.OTHER:
            return True
        if movement.state in (State.NOT_MOVED, State.CANCELED):  # taken, but given back by the provider itself
            return not self.kinds_of[movement.id] & {RowKind.CANCEL, _UNDONE_BY.get(row.kind)}
        return movement.state is State.UNDECIDED

    def _other_fee(self, row: ReportRow, movement: Movement) -> bool:
        """Reports name no fee before it is known: only two that do can differ. Told by the payout, which is final."""
        other = self.counterpart.get((row.kind, row.transaction_id))
        if row.batch is None or other is None or row.fee is None or other.fee is None:
            return False
        return (row.fee, row.fee_currency) != (other.fee, other.fee_currency)

    def _told_otherwise(self, row: ReportRow, movement: Movement) -> bool:
        told = self.heard.get((row.kind, movement.request_id), ())
        if not told or movement.state is not State.MOVED:
            return False
        moved = [each for each in told if each.moved]
        if not moved:
            return any(each.moved is False for each in told)
        return all((each.amount, each.currency) not in ((None, None), (row.amount, row.currency)) for each in moved)

    def unseen(self) -> Iterator[Movement]:
        """What the ledger says was moved and no report has."""
        return (each for each in self.movements if each.state is State.MOVED and each.id not in self.seen)

    def missing(self, movement: Movement, *, pending: bool) -> Finding:
        """A movement that should be here."""
        reported = self.counterpart.get((movement.kind, movement.provider_id or ""))
        return Finding(
            # The payout lacks what the day's report has; the other way round the report itself is at fault.
            reason=Reason.NOT_SETTLED if reported is not None and reported.batch is None else Reason.MISSING,
            kind=movement.kind,
            subject=f"{movement.kind}:{movement.request_id}",
            pending=pending,
            request_id=movement.request_id,
            transaction_id=movement.provider_id,
            record_id=movement.id,
            agreement_id=movement.agreement_id,
            charge_id=movement.charge_id,
            ours=_ours(movement),
            heard=self._said(movement.kind, movement.request_id),
        )

    def _finding(
        self, reason: Reason, row: ReportRow, movement: Movement | None, paid: Movement | None = None
    ) -> Finding:
        about = movement or paid
        request_id = row.request_id or (movement.request_id if movement else None)
        again = f":{row.source}:{row.line}" if reason is Reason.DUPLICATE else ""
        other = self.counterpart.get((row.kind, row.transaction_id)) if reason is Reason.FEE else None
        return Finding(
            reason=reason,
            kind=row.kind,
            subject=f"{row.kind}:{request_id or row.transaction_id}{again}",
            source=row.source,
            line=row.line,
            request_id=request_id,
            transaction_id=row.transaction_id,
            record_id=movement.id if movement else None,
            agreement_id=about.agreement_id if about else None,
            charge_id=about.charge_id if about else None,
            ours=_ours(movement, other) if movement else None,
            theirs=_theirs(row),
            heard=self._said(row.kind, request_id or ""),
        )

    def _said(self, kind: RowKind, request_id: str) -> Side | None:
        told = self.heard.get((kind, request_id))
        if not told:
            return None
        last = told[-1]
        status = "under way" if last.moved is None else "succeeded" if last.moved else "failed"
        return Side(status=status, amount=last.amount, currency=last.currency, id=last.id)


def _place(row: ReportRow) -> tuple[str, int]:
    return row.source, row.line


def _keys(row: ReportRow) -> list[tuple[RowKind, str]]:
    """What only one row may have: its transaction id, and of a payment or refund our request id, too."""
    if row.kind is RowKind.OTHER:
        return []
    keys: list[tuple[RowKind, str]] = [(row.kind, f"id {row.transaction_id}")]
    if row.request_id and row.kind in (RowKind.PAYMENT, RowKind.REFUND):
        keys.append((row.kind, f"request {row.request_id}"))
    return keys


def _other_identity(row: ReportRow, movement: Movement) -> bool:
    if row.kind is RowKind.CANCEL:
        return False  # a cancel has no id of its own that the provider told us
    other_request = row.request_id is not None and row.request_id != movement.request_id
    return other_request or (movement.provider_id is not None and row.transaction_id != movement.provider_id)


def _ours(movement: Movement, known: ReportRow | None = None) -> Side:
    return Side(
        status=movement.status,
        amount=movement.amount,
        currency=movement.currency,
        fee=known.fee if known else None,
        fee_currency=known.fee_currency if known else None,
        id=movement.provider_id,
    )


def _theirs(row: ReportRow) -> Side:
    return Side(
        status=row.outcome,
        amount=row.amount,
        currency=row.currency,
        fee=row.fee,
        fee_currency=row.fee_currency,
        id=row.transaction_id,
    )
