"""What Pivot's answers about money mean: pure. Source: gateways/pay-and-save.md §2.8, §3.5, §6, §9.7."""

from __future__ import annotations

from dataclasses import replace

from agreements.declines import Decline
from agreements.money import Money
from gateways.pivot import codes, messages, references, sessions
from gateways.pivot.messages import Reply, Unreadable
from gateways.pivot.sessions import ChargeOf, Session
from gateways.port import ChargeAnswer, RefundRequest, ReversalAnswer, Verdict

_WAITS = frozenset({"REQUIRE_PAYMENT_METHOD", "REQUIRE_CONFIRMATION", "REQUIRE_ACTION"})
CANCELLABLE = frozenset({"REQUIRE_PAYMENT_METHOD", "REQUIRE_CONFIRMATION"})
_DEAD_CHARGES = frozenset({"FAILED", "EXPIRED", "WAITING_FOR_USER_ACTION", "WAITING_FOR_AUTHENTICATION"})
_REFUSED = frozenset({400, 403, 404, 422})
"""HTTP statuses that say nothing was done. A 409 is about an earlier call: that one is to be looked up."""
_FAILED_FOR = frozenset({"CHARGE_FAILED", "FRAUDULENT"})
_REFUNDS = {
    "SUCCESS": Verdict.SUCCEEDED,
    "PENDING": Verdict.PROCESSING,
    "WAITING_BANK_TRANSFER": Verdict.PROCESSING,
    "WAITING_BANK_TRANFER": Verdict.PROCESSING,
    "FAILED": Verdict.DECLINED,
    "CANCELLED": Verdict.DECLINED,
}


def refused(reply: Reply) -> bool:
    """Whether an answer says that nothing was done and why."""
    return not reply.ok and reply.status in _REFUSED


def charged(reply: Reply, request_id: str, amount: Money) -> ChargeAnswer:
    """Reads the answer to a debit. Only a success for exactly our reference and amount counts as one."""
    if refused(reply):
        return ChargeAnswer(Verdict.DECLINED, decline=_refusal(reply), evidence=reply.code)
    if not reply.ok:
        return ChargeAnswer(Verdict.UNKNOWN, evidence=reply.code)
    answer = looked_up(reply, request_id)
    if answer.verdict is Verdict.SUCCEEDED and answer.amount != amount:
        return ChargeAnswer(Verdict.UNKNOWN, answer.payment_id, evidence="amount_mismatch")
    return answer


def looked_up(reply: Reply, request_id: str) -> ChargeAnswer:
    """Reads one session that must be the request's."""
    if not reply.ok:
        return ChargeAnswer(Verdict.UNKNOWN, evidence=reply.code)
    try:
        session = sessions.read(reply.data)
    except Unreadable:
        return ChargeAnswer(Verdict.UNKNOWN, evidence="unreadable")
    if references.decoded(session.reference) != request_id:
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    return outcome(session)


def found(reply: Reply, request_id: str) -> ChargeAnswer:
    """Reads the sessions found by a reference. It need not be unique at Pivot: the one that moved money counts."""
    if not reply.ok or not isinstance(reply.data, list):
        return ChargeAnswer(Verdict.UNKNOWN, evidence="unreadable" if reply.ok else reply.code)
    if not reply.data:
        return ChargeAnswer(Verdict.NOT_FOUND, evidence="no_session")
    answers = [looked_up(replace(reply, data=row), request_id) for row in reply.data]
    for verdict in (Verdict.SUCCEEDED, Verdict.UNKNOWN, Verdict.PROCESSING, Verdict.DECLINED):
        several = [answer for answer in answers if answer.verdict is verdict]
        if verdict is Verdict.SUCCEEDED and len(several) > 1:
            return ChargeAnswer(Verdict.UNKNOWN, evidence="paid_more_than_once")
        if several:
            return several[0]
    return answers[0]


def outcome(session: Session) -> ChargeAnswer:
    """What a session's status says about the money. An unknown status says nothing."""
    by_status = {"PAID": _paid, "CANCELLED": _ended, "EXPIRED": _ended}
    if session.status in by_status:
        return by_status[session.status](session)
    if session.status == "REQUIRE_ACTION" and not session.attended:
        # The bank or the account's set-up wants the customer, who is not there; nobody is handed the session's link.
        return ChargeAnswer(Verdict.DECLINED, session.id, codes.CUSTOMER_NEEDED, evidence="customer_action_required")
    if session.status in _WAITS:
        return ChargeAnswer(Verdict.PROCESSING, session.id, evidence="customer_action_required")
    if session.status == "PROCESSING":
        held = any(charge.status == "WAITING_FOR_CAPTURE" for charge in session.charges)
        return ChargeAnswer(Verdict.PROCESSING, session.id, evidence="WAITING_FOR_CAPTURE" if held else "PROCESSING")
    return ChargeAnswer(Verdict.UNKNOWN, session.id, evidence=f"session_status_{session.status}")


def _paid(session: Session) -> ChargeAnswer:
    taken = [charge.amount for charge in session.charges if charge.status == "SUCCESS"]
    if len(taken) > 1:
        return ChargeAnswer(Verdict.UNKNOWN, session.id, evidence="paid_more_than_once")
    if session.charges and not taken:
        return ChargeAnswer(Verdict.UNKNOWN, session.id, evidence="paid_without_charge")
    amount = taken[0] if taken else session.amount
    if amount is None:
        return ChargeAnswer(Verdict.UNKNOWN, session.id, evidence="amount_missing")
    return ChargeAnswer(Verdict.SUCCEEDED, session.id, amount=amount, evidence="PAID")


def _ended(session: Session) -> ChargeAnswer:
    alive = next((charge.status for charge in session.charges if charge.status not in _DEAD_CHARGES), None)
    if alive:
        return ChargeAnswer(Verdict.UNKNOWN, session.id, evidence=f"charge_status_{alive}")
    failed = _last_failed(session)
    if session.status == "EXPIRED" and (session.attended or not failed):
        return ChargeAnswer(Verdict.CANCELED, session.id, evidence="EXPIRED")
    if not failed and session.cancellation_reason not in _FAILED_FOR:
        return ChargeAnswer(Verdict.CANCELED, session.id, evidence=session.cancellation_reason or "CANCELLED")
    code = failed.failure_code if failed else session.cancellation_reason
    decline = codes.decline(code, failed.issuer_code if failed else None)
    return ChargeAnswer(Verdict.DECLINED, session.id, decline, evidence=decline.raw_code or session.status)


def _last_failed(session: Session) -> ChargeOf | None:
    return next((charge for charge in reversed(session.charges) if charge.status in ("FAILED", "EXPIRED")), None)


def _refusal(reply: Reply) -> Decline:
    """A refusal of the saved token means that the card is gone; any other one is about the form of our call."""
    about_token = reply.code == "resource_missing" or reply.field.endswith("token")
    return codes.decline(reply.code, call="grant" if about_token else "pay")


def reversal_refused(reply: Reply) -> ReversalAnswer:
    """A refund or cancel that Pivot answered without doing it, or whose earlier call has to be looked up."""
    if refused(reply):
        return ReversalAnswer(Verdict.DECLINED, decline=codes.decline(reply.code), evidence=reply.code)
    return ReversalAnswer(Verdict.UNKNOWN, evidence=reply.code)


def canceled(session: Session) -> ReversalAnswer:
    """What a session's status means for whoever wants its money not to move."""
    verdict = outcome(session).verdict
    if session.status in ("CANCELLED", "EXPIRED") and verdict in (Verdict.CANCELED, Verdict.DECLINED):
        return ReversalAnswer(Verdict.SUCCEEDED, session.id, evidence=session.status)
    if verdict is Verdict.SUCCEEDED:
        return ReversalAnswer(Verdict.DECLINED, decline=codes.decline("PAID"), evidence="PAID")
    if session.status in _WAITS or verdict is Verdict.PROCESSING:
        return ReversalAnswer(Verdict.PROCESSING, evidence=session.status)
    return ReversalAnswer(Verdict.UNKNOWN, evidence=session.status)


def refunded(reply: Reply, request: RefundRequest) -> ReversalAnswer:
    """Reads the answer to a refund. Only one of exactly our reference and amount counts."""
    if not reply.ok:
        return reversal_refused(reply)
    answer = refund(reply.data, request.request_id)
    amount = messages.money(messages.mapping(reply.data).get("amount"))
    if answer.verdict is not Verdict.UNKNOWN and amount != request.amount:
        return ReversalAnswer(Verdict.UNKNOWN, answer.reversal_id, evidence="amount_mismatch")
    return answer


def refund(data: object, request_id: str) -> ReversalAnswer:
    """Reads one refund that must be the request's."""
    fields = messages.mapping(data)
    reference, status = messages.text(fields.get("clientReferenceId")), messages.code(fields.get("status"))
    if reference is None or status is None:
        return ReversalAnswer(Verdict.UNKNOWN, evidence="unreadable")
    if references.decoded(reference) != request_id:
        return ReversalAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    verdict = _REFUNDS.get(status, Verdict.UNKNOWN)
    decline = codes.decline(None) if verdict is Verdict.DECLINED else None
    evidence = f"refund_status_{status}" if verdict is Verdict.UNKNOWN else status
    return ReversalAnswer(verdict, messages.text(fields.get("id")), decline, evidence)
