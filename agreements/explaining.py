"""What happens next to an agreement, when and why, in words for operators: the Temporal UI's details and `explain`."""

from __future__ import annotations

from datetime import datetime

from agreements.agenda import Step, StepKind, called, next_step
from agreements.standing import DueCharge, Standing
from agreements.status import AGREEMENT_ENDS, AgreementStatus, Stop

_WHY = {
    StepKind.REVOKE: "The agreement was revoked; the provider is told until it has confirmed.",
    StepKind.INQUIRE: "Whether that debit happened is not known. Nothing else of its cycle is tried before it is.",
    StepKind.REVERSE: "That debit must not be kept: it goes back, and the provider is asked until it has.",
    StepKind.EXPIRE: "Its terms end then.",
    StepKind.EXPIRE_AUTHORIZATION: "The customer has not agreed yet: their page is open until then.",
    StepKind.AUTHORIZE: "The provider is asked for the customer's page, or for what the customer did there.",
    StepKind.REFRESH: "A token is renewed well before it runs out, and at once when the provider calls it invalid.",
    StepKind.LAPSE: "The customer has to act; the retry policy gives them until then.",
    StepKind.ANNOUNCE: "A rule on notices, or the merchant, wants the payer told before the debit.",
    StepKind.RELEASE: "No agreement uses that credential any more.",
    StepKind.EXPIRE_CARD_CHANGE: "A link for another card is open until then.",
    StepKind.REMIND: "A link for another card is open, and nobody has followed it.",
    StepKind.WARN: "The credential in use can soon be charged no more.",
}
_CHANGED_BY = {
    StepKind.INQUIRE: "the provider's notification, which ends the wait at once",
    StepKind.EXPIRE_AUTHORIZATION: "the customer's decision on the page",
    StepKind.AUTHORIZE: "the provider's answer",
    StepKind.LAPSE: "another card or wallet from the customer, which is charged at once",
    StepKind.REVERSE: "the provider's notification, which ends the wait at once",
}


def explain(standing: Standing, now: datetime) -> str:
    """A short answer in plain text: what happens next, when and why, what holds it, what would change it, and what was
    decided last. Times are UTC, and the agreement's own where it has a test clock.
    """
    agreement, step = standing.agreement, next_step(standing, now)
    lines = [
        f"{agreement.reference} ({agreement.id}) through {agreement.gateway} is {standing.status}: "
        f"{standing.terms}; pays with {standing.credential}.",
        "",
    ]
    lines += [f"- No debit is made: {stopped}" for stopped in stopped_by(standing)]
    lines += [f"- Held back: {charge}" for charge in held_back(standing)]
    lines += [f"- Next: {in_words(step)}", f"- Why: {why(standing, step)}"]
    lines += [f"- Waits for: {what}" for what in _waits_for(standing)]
    lines += [f"- After that: {in_words(after)}" for after in _later(standing, step, now)]
    lines.append(f"- What would change it: {', '.join(_changes(standing, step))}.")
    last = next((charge for charge in standing.recent if charge.last), None)
    if last is not None:
        lines.append(f"- Last decision: {called(last.cycle)} ({last.amount}): {last.last}")
    return "\n".join(lines)


def in_words(step: Step | None) -> str:
    """A step and its instant."""
    return "nothing, until news arrives" if step is None else f"{step.title}, {step.due_at:%Y-%m-%d %H:%M} UTC"


def why(standing: Standing, step: Step | None) -> str:
    """What the step comes from, or why there is none."""
    if step is None:
        return _why_nothing(standing)
    if step.kind is not StepKind.CHARGE:
        return _WHY[step.kind]
    return _why_charge(next(charge for charge in standing.charges if charge.charge_id == step.subject))


def _why_charge(charge: DueCharge) -> str:
    if charge.rule:
        left = "" if charge.budget_left is None else f"; tries left after it: {max(charge.budget_left - 1, 0)}"
        return f"The last try was declined, and rule `{charge.rule}` chose this instant{left}."
    if charge.cycle is None:
        return "The merchant asked for it."
    return "It is the cycle's day by the agreement's schedule."


def _why_nothing(standing: Standing) -> str:
    if standing.status in AGREEMENT_ENDS:
        return "It has ended, and nothing is left to find out or to give back."
    if standing.held:
        return "Its debits are stopped; whoever says go has it woken."
    if standing.stop is Stop.PAUSED:
        return "It is paused until its merchant resumes it."
    if standing.status is AgreementStatus.ACTION_REQUIRED:
        return "It waits for the customer."
    return "It is charged when its merchant asks, or sets the coming amount."


def stopped_by(standing: Standing) -> list[str]:
    """Who or what keeps debits from being made; nothing for an agreement that has ended."""
    paused = ["the merchant paused it"] if standing.stop is Stop.PAUSED else []
    return paused + ([standing.held] if standing.held else [])


def held_back(standing: Standing) -> list[str]:
    """The charges that would be tried, were debits not stopped, and when."""
    if not stopped_by(standing):
        return []
    return [
        f"{called(charge.cycle)}, attempt {charge.attempt}: {charge.amount}, {charge.at:%Y-%m-%d %H:%M} UTC"
        for charge in standing.charges
    ]


def _waits_for(standing: Standing) -> list[str]:
    found = [f"what became of {called(attempt.cycle)}, attempt {attempt.attempt}" for attempt in standing.unfinished]
    found += [f"the customer, for {called(waiting.cycle)}" for waiting in standing.deadlines]
    if standing.authorization_expires_at is not None and standing.status is AgreementStatus.PENDING_AUTHORIZATION:
        found.append("the customer's authorization")
    return found


def _later(standing: Standing, step: Step | None, now: datetime) -> list[Step]:
    """The debit behind another step, for it is what most people ask about."""
    stopped = standing.held or standing.stop is not Stop.NONE
    if step is None or step.kind is StepKind.CHARGE or stopped or not standing.charges:
        return []
    debits = standing.model_copy(update={"unfinished": (), "reversals": (), "releases": (), "notices": ()} | _NO_DATES)
    after = next_step(debits, now)
    return [after] if after is not None and after.kind is StepKind.CHARGE else []


_NO_DATES = dict.fromkeys(
    (
        "authorize_at",
        "authorization_expires_at",
        "refresh_at",
        "card_change_expires_at",
        "card_change_reminder_at",
        "credential_warning_at",
        "revoke_at",
        "expires_at",
    )
)


def _changes(standing: Standing, step: Step | None) -> list[str]:
    if standing.status in AGREEMENT_ENDS:
        return ["only late news from the provider"]
    found = [_CHANGED_BY[step.kind]] if step is not None and step.kind in _CHANGED_BY else []
    if standing.held:
        found.append("`autodebit go`")
    if standing.stop is Stop.PAUSED:
        found.append("resuming it (`autodebit agreements resume`)")
    else:
        found.append("pausing it (`autodebit agreements pause`)")
    return [*found, "revoking it (signal `revoke`)", "another card (signal `request_card_change`)"]
