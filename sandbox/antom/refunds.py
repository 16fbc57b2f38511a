"""refund and inquiryRefund (gateways/antom.md §3.7-3.8)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sandbox import ledger
from sandbox.agenda import Agenda
from sandbox.antom.answers import Answer, Call, amount, answer, iso
from sandbox.antom.messages import RefundKey, RefundRequest
from sandbox.antom.notices import Notices
from sandbox.antom.payments import wrong_amount
from sandbox.antom.settings import AntomSettings
from sandbox.antom.state import Payment, Refund, payment_of, refund_number, refund_of
from sandbox.antom.wallets import WALLETS
from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status

SETTLE_REFUND = "antom.settle_refund"
"""A refund that was only accepted is done."""


@dataclass
class Refunds:
    """Wallets refund at once; with `isAsyncRefund` the refund is only accepted and done a little later."""

    settings: AntomSettings
    agenda: Agenda
    notices: Notices

    def __post_init__(self) -> None:
        self.agenda.transitions[SETTLE_REFUND] = self._settle

    def refund(self, call: Call, request: RefundRequest) -> Answer:
        """Gives money back, once per refundRequestId. A refusal is final for its id, and never notified."""
        earlier = refund_of(call.session, call.client_id, None, request.refund_request_id)
        if earlier is not None:
            return _repeat(earlier, request)
        payment = payment_of(call.session, call.client_id, request.payment_id, None)
        if payment is None:
            return answer("ORDER_NOT_EXIST")
        call = call.inherit(payment.clock)
        refusal = _refusal(call, payment, request)
        if refusal == "PARAM_ILLEGAL":
            return answer(refusal, "refundAmount is not one this wallet can refund")
        refund = self._record(call, request, payment, refusal)
        if refund.status == "PROCESSING":
            self.agenda.plan(call.session, call.moment, SETTLE_REFUND, refund.refund_id, self.settings.settle_after)
        elif refund.status == "SUCCESS":
            self.notices.refund_result(call.session, call.moment, refund)
        return _outcome(refund)

    def _record(self, call: Call, request: RefundRequest, payment: Payment, refusal: str | None) -> Refund:
        accepted_only = refusal is None and (
            bool(request.is_async_refund) or not WALLETS[payment.wallet].refunds_at_once
        )
        status = "FAIL" if refusal else "PROCESSING" if accepted_only else "SUCCESS"
        refund = Refund(
            refund_id=refund_number(call.session, call.moment),
            client_id=call.client_id,
            request_id=request.refund_request_id,
            payment_id=payment.payment_id,
            currency=request.refund_amount.currency,
            value=request.refund_amount.value,
            notify_url=request.refund_notify_url,
            clock=call.moment.clock,
            created=call.moment.now,
            status=status,
            code=refusal or ("REFUND_IN_PROCESS" if accepted_only else "SUCCESS"),
            done=call.moment.now if status == "SUCCESS" else None,
        )
        call.session.add(refund)
        call.session.add(_entry(refund, payment, call.moment))
        return refund

    def _settle(self, session: Session, refund_id: str, moment: Moment) -> None:
        refund = session.scalars(select(Refund).where(Refund.refund_id == refund_id)).one()
        if refund.status != "PROCESSING":
            return
        refund.status, refund.code, refund.done = "SUCCESS", "SUCCESS", moment.now
        ledger.settle(session, refund.request_id, Kind.REFUND, Status.SUCCEEDED)
        self.notices.refund_result(session, moment, refund)

    def on_portal(self, session: Session, moment: Moment, payment: Payment, value: int | None) -> Refund | str:
        """A refund made by hand on the provider's portal, of `value` minor units or of what is left; or why not."""
        value = value or payment.value - _given_back(session, payment)
        if payment.status != "SUCCESS" or value <= 0 or _given_back(session, payment) + value > payment.value:
            return "not paid, or less than that is left"
        number = refund_number(session, moment)
        refund = Refund(
            refund_id=number,
            client_id=payment.client_id,
            request_id=f"portal{number}",
            payment_id=payment.payment_id,
            currency=payment.currency,
            value=value,
            notify_url=payment.notify_url,
            clock=moment.clock,
            created=moment.now,
            status="SUCCESS",
            code="SUCCESS",
            done=moment.now,
        )
        session.add_all([refund, _entry(refund, payment, moment)])
        self.notices.refund_result(session, moment, refund, of_payment=payment.payment_id)
        return refund

    def bounce(self, session: Session, moment: Moment, refund: Refund) -> None:
        """A refund that was done or under way fails after all, and the merchant is told (gateways/antom.md §3.7)."""
        refund.status, refund.code, refund.done = "FAIL", "PROCESS_FAIL", None
        ledger.bounce(session, refund.request_id)
        self.notices.refund_result(session, moment, refund)

    def inquire(self, call: Call, request: RefundKey) -> Answer:
        """What became of a refund."""
        refund = refund_of(call.session, call.client_id, request.refund_id, request.refund_request_id)
        if refund is None:
            return answer(self.settings.refund_not_found)
        return answer(
            refundId=refund.refund_id,
            refundRequestId=refund.request_id,
            refundAmount=amount(refund.currency, refund.value),
            refundStatus=refund.status,
            refundTime=iso(refund.done),
        )


def _refusal(call: Call, payment: Payment, request: RefundRequest) -> str | None:
    wallet = WALLETS[payment.wallet]
    wanted = request.refund_amount
    if payment.status == "CANCELLED":
        return "ORDER_IS_CANCELED"
    if payment.paid is None:
        return "ORDER_STATUS_INVALID"
    if call.moment.now > payment.paid + wallet.refund_window:
        return "REFUND_WINDOW_EXCEED"
    if wrong := wrong_amount(wallet, wanted):
        return "PARAM_ILLEGAL" if wrong == "INVALID_AMOUNT" else wrong
    if _given_back(call.session, payment) + wanted.value > payment.value:
        return "REFUND_AMOUNT_EXCEED"
    return None


def _given_back(session: Session, payment: Payment) -> int:
    taken = select(func.sum(Refund.value)).where(Refund.payment_id == payment.payment_id, Refund.status != "FAIL")
    return session.scalar(taken) or 0


def _repeat(refund: Refund, request: RefundRequest) -> Answer:
    wanted = request.refund_amount
    same = (refund.payment_id, refund.currency, refund.value) == (
        request.payment_id,
        wanted.currency,
        wanted.value,
    )
    return _outcome(refund) if same else answer("REPEAT_REQ_INCONSISTENT")


def _outcome(refund: Refund) -> Answer:
    if refund.status == "FAIL":
        return answer(refund.code)
    return answer(
        refund.code,
        refundRequestId=refund.request_id,
        refundId=refund.refund_id,
        paymentId=refund.payment_id,
        refundAmount=amount(refund.currency, refund.value),
        refundTime=iso(refund.done),
    )


def _entry(refund: Refund, payment: Payment, moment: Moment) -> ledger.Entry:
    status = {"SUCCESS": Status.SUCCEEDED, "PROCESSING": Status.PROCESSING}.get(refund.status, Status.FAILED)
    return ledger.Entry(
        request_id=refund.request_id,
        kind=Kind.REFUND,
        amount=refund.value,
        currency=refund.currency,
        status=status,
        virtual_time=moment.now,
        credential=payment.credential_id,
        merchant_reference=payment.order_id,
        clock=moment.clock,
    )
