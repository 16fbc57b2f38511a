"""The text operators read on a workflow's page in the Temporal UI. No personal data, no secrets."""

from __future__ import annotations

from datetime import datetime

from agreements.agenda import next_step
from agreements.declarations import DeclarationStanding
from agreements.explaining import held_back, in_words, stopped_by, why
from agreements.refunds import RefundStanding
from agreements.standing import RecentCharge, Standing


def details(standing: Standing, now: datetime, remark: str = "") -> str:
    """Markdown: what holds it, what happens next and why, terms, credential, and the last charges.

    `remark` says what of an operator's last signal was ignored or refused.
    """
    step = next_step(standing, now)
    lines = [f"**{standing.status}**: {standing.terms}", ""]
    lines += [f"- **no debit is made:** {stopped}" for stopped in stopped_by(standing)]
    lines += [f"- held back: {charge}" for charge in held_back(standing)]
    lines += [
        f"- next: {in_words(step)}",
        f"- why: {why(standing, step)}",
        f"- pays with: {standing.credential}",
    ]
    if remark:
        lines.append(f"- last signal: {remark}")
    if standing.recent:
        lines += ["", "| cycle | due (UTC) | amount | what came of it |", f"|{' --- |' * 4}"]
        lines += [_row(charge) for charge in standing.recent]
    return "\n".join(lines)


def fixed_details(standing: Standing) -> str:
    """Markdown: what never changes about the agreement, and what an operator can do here."""
    agreement = standing.agreement
    clock = [f"- lives on test clock {agreement.test_clock_id}"] if agreement.test_clock_id else []
    return "\n".join(
        [
            f"- reference: {agreement.reference}",
            f"- customer: {agreement.customer_id}",
            f"- gateway: {agreement.gateway}",
            f"- merchant: {agreement.merchant_id}",
            *clock,
            "- query `explain`: what happens next, and why",
            "- signals: `revoke`, `request_card_change`",
        ]
    )


def refund_details(refund: RefundStanding) -> str:
    """What became of a refund so far, and when the provider is asked again."""
    return _of_a_call(refund.title, refund.status, refund.agreement_id, refund.next_at)


def declaration_details(declaration: DeclarationStanding) -> str:
    """The same of a declaration at customs."""
    return _of_a_call(declaration.title, declaration.status, declaration.agreement_id, declaration.next_at)


def _of_a_call(title: str, status: str, agreement_id: str, at: datetime | None) -> str:
    coming = f"ask the provider, {at:%F %H:%M} UTC" if at else "nothing: the outcome is known"
    return f"**{status}**: {title}\n\n- next: {coming}\n- agreement: {agreement_id}"


def _row(charge: RecentCharge) -> str:
    """The panel is narrow and sets cells side by side: no date or amount is broken, and each ends in space."""
    due, amount = (f"{text}  ".replace(" ", "\u00a0") for text in (f"{charge.due_at:%d %b %Y}", charge.amount))
    tries = {0: "", 1: ", 1 try"}.get(charge.tries, f", {charge.tries} tries")
    came_of_it = f"{charge.status}{tries}" + (f"; {charge.last}" if charge.last else "")
    return f"| {charge.cycle or '-'} | {due} | {amount} | {came_of_it} |"
