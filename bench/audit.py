"""The audit: the engine's rows against the provider's books and the terms, by rules of its own.

Nothing here asks the engine whether it did right: money is counted in the provider's books, due dates come from the
terms, budgets are counted again decline by decline, and what may never be tried again is the mix's word.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agreements import schedule
from agreements.rulebook import Budget, Rulebook
from agreements.status import AgreementStatus, ChargeStatus
from bench.engine import Tally
from bench.households import Promise
from bench.mix import GATEWAY_KINDS
from bench.model_provider import Debit, ModelProvider, Request
from bench.records import Agreement

MUST_BE_ZERO = (
    "double_charges",
    "missed_cycles",
    "over_budget_attempts",
    "hard_declines_retried",
    "books_disagree",
)
NOTICED = (
    "queries_refused",
    "over_budget_by_declines_not_known_yet",
    "tries_on_a_wallet_token_refused_before",
)
"""What breaks none of the promises above, and a careful reader wants to know."""
_SOON = timedelta(minutes=5)
_WHILE_IT_WAITED = (timedelta(0), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=2))
"""A card's budget may be taken by another agreement of the merchant until it is too late to collect."""
_FEWEST = 10
"""No budget is lower than this many declines."""

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
    unheard = [debit for agreement in rows.values() for debit in _unheard(agreement, provider)]
    for promise in promises:
        agreement = rows[promise.contract.id]
        for cycle, due in promise.due.items():
            order = f"{promise.contract.id}-c{cycle}"
            _cycle(findings, agreement, cycle, by_order.get(order, []))
            if order not in sent and not _excused(
                agreement, promise, cycle, due, debits, unheard, down[promise.contract.id], rulebook
            ):
                findings.offence("missed_cycles", order)
        _open(findings, agreement)
    findings.counts["attempts"] += len(provider.wire)
    findings.counts["queries_refused"] += provider.queries_refused
    _hard(findings, rows, provider, debits)
    _budgets(findings, rows, debits, rulebook)
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


def _unheard(agreement: Agreement, provider: ModelProvider) -> Iterator[Debit]:
    """Attempts of which the provider knows nothing. The engine cannot rule out that the card's network saw them, so by
    the strict reading they use up a card's budget.
    """
    contract = agreement.contract
    for charge in (*agreement.over.values(), *agreement.open.values()):
        for attempt in charge.attempts.values():
            if attempt.sent_at is not None and attempt.request_id not in provider.debits:
                card = attempt.credential
                request = Request(
                    attempt.request_id,
                    charge.id,
                    contract.id,
                    card.token,
                    card.account,
                    attempt.money,
                    card.network,
                    card.generation,
                )
                yield Debit(request, attempt.sent_at, attempt.sent_at, "failed")


def _excused(
    agreement: Agreement,
    promise: Promise,
    cycle: int,
    due: datetime,
    debits: list[Debit],
    unheard: list[Debit],
    down: list[tuple[datetime, datetime]],
    rulebook: Rulebook,
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
    if any(_killed(debit, agreement) and debit.at <= due + limit for debit in debits):
        return True
    # Its card had used up its budget, or its token was dead.
    mine = [debit for debit in debits if debit.request.agreement == promise.contract.id and debit.at <= due]
    if not mine:
        return False
    last = mine[-1]
    on_card = [debit for debit in [*debits, *unheard] if debit.request.account == last.request.account]
    if last.request.network is not None and any(
        _spent(on_card, last.request, due + later, rulebook) for later in _WHILE_IT_WAITED
    ):
        return True
    cause = last.trouble.cause if last.final == "failed" and last.trouble else None
    return cause is not None and (cause.never == "credential" or cause.heals == "refresh")


def _killed(debit: Debit, agreement: Agreement) -> bool:
    """Whether a decline, of whichever agreement, ended the card this agreement was debited with: it waits for another.

    A new card's name begins with the old one's.
    """
    dead = debit.final == "failed" and debit.trouble is not None and debit.trouble.cause.never == "credential"
    return dead and agreement.credential.account.startswith(debit.request.account)


def _open(findings: Findings, agreement: Agreement) -> None:
    attempts = [attempt for charge in agreement.open.values() for attempt in charge.attempts.values()]
    findings.counts["unresolved_unknowns"] += sum(attempt.status.open for attempt in attempts)


def _hard(findings: Findings, rows: Mapping[str, Agreement], provider: ModelProvider, debits: list[Debit]) -> None:
    """Requests after a refusal that no waiting heals, on the same card or for the same cycle.

    They count from when the engine knew: an answer that got lost freezes its own cycle, not the next ones. Schemes
    forbid this for cards; a wallet's dead token may be refreshed and tried again by each cycle, which is only counted.
    """
    wallet = GATEWAY_KINDS[provider.gateway] == "wallet"
    for debit in debits:
        if debit.final != "failed" or debit.trouble is None or debit.trouble.cause.never is None:
            continue
        never = debit.trouble.cause.never
        mine = debit.request
        known_at = rows[mine.agreement].attempt(mine.request_id)[1].finished_at
        for at, request in provider.wire:
            if known_at is None or at <= known_at or request.request_id == mine.request_id:
                continue
            same_token = request.token == mine.token and request.agreement == mine.agreement
            same_card = request.account == mine.account and not wallet and debit.trouble.cause.heals == "new_card"
            same_cycle = same_token and request.order == mine.order
            withdrawn = same_token and never == "credential" and not wallet
            if same_cycle or same_card or withdrawn:
                findings.offence("hard_declines_retried", f"{request.request_id} after {mine.request_id}")
            elif same_token and never == "credential":
                findings.counts["tries_on_a_wallet_token_refused_before"] += 1


def _budgets(findings: Findings, rows: Mapping[str, Agreement], debits: list[Debit], rulebook: Rulebook) -> None:
    """Counts every card's declines again, those the engine could not know yet apart. Wallets have no budget."""
    cards: dict[str, list[Debit]] = defaultdict(list)
    for debit in debits:
        if debit.request.network is not None:
            cards[debit.request.account].append(debit)
    for on_card in cards.values():
        if sum(debit.final == "failed" for debit in on_card) < _FEWEST:
            continue
        for debit in on_card:
            known = [each for each in on_card if _known_before(rows, each, debit.at)]
            if budget := _spent(known, debit.request, debit.at, rulebook):
                findings.offence("over_budget_attempts", f"{debit.request.request_id} by {budget.id}")
            elif _spent(on_card, debit.request, debit.at, rulebook):
                findings.counts["over_budget_by_declines_not_known_yet"] += 1


def _known_before(rows: Mapping[str, Agreement], debit: Debit, at: datetime) -> bool:
    """Whether the engine had recorded a debit's outcome."""
    known_at = rows[debit.request.agreement].attempt(debit.request.request_id)[1].finished_at
    return known_at is not None and known_at < at


def _spent(on_card: list[Debit], request: Request, at: datetime, rulebook: Rulebook) -> Budget | None:
    """The first of a card's budgets that its declines before `at` had used up."""
    failed = [each for each in on_card if each.final == "failed" and each.final_at < at]
    for budget in rulebook.budgets(request.network, at.date()):
        counted = [each for each in failed if each.final_at > at - budget.window]
        if sum(not budget.same_amount or each.request.money == request.money for each in counted) >= budget.limit:
            return budget
    return None
