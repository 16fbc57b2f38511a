"""The audit: the engine's rows against the provider's books and the terms, by rules of its own.

Nothing here asks the engine whether it did right: money is counted in the provider's books, due dates come from the
terms, budgets are counted again decline by decline, and what may never be tried again is the mix's word.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agreements import schedule
from agreements.rulebook import Rulebook
from agreements.status import AgreementStatus, ChargeStatus
from bench.engine import Tally
from bench.households import Promise
from bench.model_provider import Debit, ModelProvider
from bench.records import Agreement

MUST_BE_ZERO = (
    "double_charges",
    "missed_cycles",
    "over_budget_attempts",
    "hard_declines_retried",
    "books_disagree",
    "queries_refused",
)
_SOON = timedelta(minutes=5)

Down = Mapping[str, list[tuple[datetime, datetime]]]


@dataclass(slots=True)
class Findings:
    """Counts, by name; the first few offences in words."""

    counts: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Takes another one's in."""
        self.counts.update(other.counts)
        self.decisions.update(other.decisions)
        self.steps.update(other.steps)
        self.examples = [*self.examples, *other.examples][:20]

    def count(self, tally: Tally) -> None:
        """What the engine did."""
        self.steps.update(tally.steps)
        self.decisions.update(tally.decisions)
        self.counts["crashes"] += tally.crashes

    def offence(self, kind: str, what: str) -> None:
        self.counts[kind] += 1
        self.examples = [*self.examples, f"{kind}: {what}"][:20]


def examine(
    promises: Iterable[Promise],
    rows: Mapping[str, Agreement],
    provider: ModelProvider,
    down: Down,
    rulebook: Rulebook,
) -> Findings:
    """Everything that went wrong in one household, and what it collected."""
    findings = Findings()
    debits = sorted(provider.executed(), key=lambda debit: (debit.at, debit.request.request_id))
    by_order: dict[str, list[Debit]] = defaultdict(list)
    for debit in debits:
        by_order[debit.request.order].append(debit)
    sent = {each.request.order for each in provider.wire}
    for promise in promises:
        agreement = rows[promise.contract.id]
        for cycle, due in promise.due.items():
            order = f"{promise.contract.id}-c{cycle}"
            _cycle(findings, agreement, cycle, by_order.get(order, []))
            if order not in sent and not _excused(agreement, promise, cycle, due, debits, down[promise.contract.id]):
                findings.offence("missed_cycles", order)
        _open(findings, agreement)
    findings.counts["attempts"] += len(provider.wire)
    findings.counts["queries_refused"] += provider.queries_refused
    _hard(findings, provider, debits)
    _budgets(findings, debits, rulebook)
    return findings


def _cycle(findings: Findings, agreement: Agreement, cycle: int, debits: list[Debit]) -> None:
    taken = [debit for debit in debits if debit.final == "succeeded"]
    kept = [debit for debit in taken if debit.given_back_at is None]
    counts, name = findings.counts, f"{agreement.contract.id}-c{cycle}"
    counts["cycles"] += 1
    if len(taken) > 1:
        findings.offence("double_charges", f"{name}, {len(taken)} times")
    charge = agreement.open.get(cycle) or agreement.over.get(cycle)
    paid = charge is not None and charge.status is ChargeStatus.SUCCEEDED
    unknown = charge is not None and any(attempt.status.open for attempt in charge.attempts.values())
    if paid != bool(kept) and not unknown:
        findings.offence("books_disagree", f"{name}: paid here {paid}, there {bool(kept)}")
    counts["paid"] += paid
    counts["tried"] += bool(debits)
    if debits and debits[0].final == "failed":
        counts["declined_at_first"] += 1
        counts["recovered"] += paid


def _excused(
    agreement: Agreement,
    promise: Promise,
    cycle: int,
    due: datetime,
    debits: list[Debit],
    down: list[tuple[datetime, datetime]],
) -> bool:
    """Whether a cycle that nobody ever sent has a reason that stands outside the engine's records."""
    if (
        agreement.ended is AgreementStatus.REVOKED
        and agreement.ended_at is not None
        and agreement.ended_at <= due + _SOON
    ):
        return True
    limit = schedule.catch_up_limit(promise.contract.plan.terms)
    if any(start <= due + _SOON and end > due + min(limit, _SOON) for start, end in down):
        return True
    # Its credential was dead and no new one had come.
    mine = [debit for debit in debits if debit.request.agreement == promise.contract.id and debit.at <= due]
    if not mine:
        return False
    last = mine[-1]
    return last.final == "failed" and last.trouble is not None and last.trouble.cause.never == "credential"


def _open(findings: Findings, agreement: Agreement) -> None:
    attempts = [attempt for charge in agreement.open.values() for attempt in charge.attempts.values()]
    findings.counts["unresolved_unknowns"] += sum(attempt.status.open for attempt in attempts)


def _hard(findings: Findings, provider: ModelProvider, debits: list[Debit]) -> None:
    """Requests after a refusal that no waiting heals, on the same token or for the same cycle."""
    for debit in debits:
        never = debit.trouble.cause.never if debit.final == "failed" and debit.trouble else None
        if never is None:
            continue
        mine = debit.request
        for at, request in provider.wire:
            if at <= debit.final_at or request.request_id == mine.request_id:
                continue
            again = request.order == mine.order and request.token == mine.token
            if request.agreement == mine.agreement and (
                again or (never == "credential" and request.token == mine.token)
            ):
                findings.offence("hard_declines_retried", f"{request.request_id} after {mine.request_id}")
            elif never == "credential" and request.account == mine.account and request.agreement != mine.agreement:
                findings.counts["tries_on_a_card_dead_elsewhere"] += 1


def _budgets(findings: Findings, debits: list[Debit], rulebook: Rulebook) -> None:
    """Counts every card's declines again. Wallets have no network, so no budget."""
    cards: dict[str, list[Debit]] = defaultdict(list)
    for debit in debits:
        if debit.request.network is not None:
            cards[debit.request.account].append(debit)
    for on_card in cards.values():
        failed = sorted((debit for debit in on_card if debit.final == "failed"), key=lambda debit: debit.final_at)
        if len(failed) < 10:
            continue
        for debit in on_card:
            for budget in rulebook.budgets(debit.request.network, debit.at.date()):
                same = [
                    each.final_at
                    for each in failed
                    if not budget.same_amount or each.request.money == debit.request.money
                ]
                used = bisect_left(same, debit.at) - bisect_right(same, debit.at - budget.window)
                if used >= budget.limit:
                    findings.offence("over_budget_attempts", f"{debit.request.request_id}: {used} by {budget.id}")
