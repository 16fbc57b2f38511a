"""pay, inquiryPayment and cancel of agreement payments (gateways/antom.md §3.4-3.6, §5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox import ledger
from sandbox.agenda import Agenda
from sandbox.antom.answers import ANTOM_ZONE, Answer, Call, amount, answer, iso, result
from sandbox.antom.authorizations import Authorizations
from sandbox.antom.messages import Amount, ExpiresBeforeAMinute, PaymentKey, PayRequest, closing_time
from sandbox.antom.notices import Notices, declarable
from sandbox.antom.scripts import Step, step
from sandbox.antom.settings import AntomSettings
from sandbox.antom.state import Credential, Payment, Refund, credential_of, payment_number, payment_of
from sandbox.antom.wallets import WALLETS, Wallet
from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status

SETTLE = "antom.settle"
"""A payment in process gets its result."""
CLOSE = "antom.close"
"""An order that was not paid in time closes."""
CANCEL_UNTIL = time(0, 15)
"""In GMT+8, on the day after the payment."""


@dataclass
class Payments:
    """The life of a debit."""

    settings: AntomSettings
    agenda: Agenda
    notices: Notices
    authorizations: Authorizations

    def __post_init__(self) -> None:
        self.agenda.transitions[SETTLE] = self._settle
        self.agenda.transitions[CLOSE] = self._close

    def pay(self, call: Call, request: PayRequest) -> Answer:
        """Debits a credential, once per paymentRequestId: a repeat gets the same answer again."""
        earlier = payment_of(call.session, call.client_id, None, request.payment_request_id)
        if earlier is not None:
            return _repeat(earlier, request)
        wallet = WALLETS.get(request.payment_method.payment_method_type)
        if wallet is None:
            return answer("PARAM_ILLEGAL", "paymentMethodType is unknown")
        if refusal := wrong_amount(wallet, request.payment_amount):
            return answer(refusal)
        credential = credential_of(call.session, call.client_id, request.payment_method.payment_method_id)
        call = call.inherit(credential.clock) if credential else call
        try:
            closes = closing_time(request, call.moment.now, call.moment.now + self.settings.close_after)
        except ExpiresBeforeAMinute as error:
            return answer("PARAM_ILLEGAL", str(error))
        if credential is not None and credential.wallet != wallet.name:
            return answer("PARAM_ILLEGAL", "the token belongs to another paymentMethodType")
        if credential is None or credential.status(call.moment.now) != "active":
            return self._record(call, request, credential, Step("INVALID_ACCESS_TOKEN"), closes)
        scripted = step(credential.script, credential.position)
        credential.position += 1
        if not scripted.recorded:
            return Answer(answer(scripted.code).body, scripted.wire)
        return self._record(call, request, credential, scripted, closes)

    def _record(
        self, call: Call, request: PayRequest, credential: Credential | None, scripted: Step, closes: datetime
    ) -> Answer:
        payment = _new_payment(call, request, credential, scripted)
        call.session.add(payment)
        call.session.add(_entry(payment, Kind.DEBIT, _ledger_status(payment), call.moment))
        self._plan(call.session, call.moment, payment, closes - call.moment.now)
        if scripted.revokes and credential is not None:
            self.authorizations.end(call.session, call.moment, credential, "cancelled by the customer in the wallet")
        return Answer(_outcome(payment).body, scripted.wire)

    def _plan(self, session: Session, moment: Moment, payment: Payment, closes_in: timedelta) -> None:
        """Success is told at once, failure when the order closes (gateways/antom.md §4.3)."""
        if payment.status == "PROCESSING":
            self.agenda.plan(session, moment, SETTLE, payment.payment_id, self.settings.settle_after)
            self.agenda.plan(session, moment, CLOSE, payment.payment_id, closes_in)
        elif payment.status == "SUCCESS":
            self.notices.payment_result(session, moment, payment)
        else:
            self.notices.payment_result(session, moment, payment, after=closes_in)

    def _settle(self, session: Session, payment_id: str, moment: Moment) -> None:
        payment = session.scalars(select(Payment).where(Payment.payment_id == payment_id)).one()
        self._finish(session, moment, payment, payment.code)

    def _close(self, session: Session, payment_id: str, moment: Moment) -> None:
        payment = session.scalars(select(Payment).where(Payment.payment_id == payment_id)).one()
        self._finish(session, moment, payment, "ORDER_IS_CLOSED")

    def _finish(self, session: Session, moment: Moment, payment: Payment, code: str) -> None:
        if payment.status != "PROCESSING":
            return
        payment.code = code
        payment.status = "SUCCESS" if code == "SUCCESS" else "FAIL"
        payment.paid = moment.now if code == "SUCCESS" else None
        ledger.settle(session, payment.request_id, Kind.DEBIT, _ledger_status(payment))
        self.agenda.drop(session, payment.payment_id, SETTLE, CLOSE)
        self.notices.payment_result(session, moment, payment)

    def inquire(self, call: Call, request: PaymentKey) -> Answer:
        """The truth about a payment, whatever became of the answer to `pay`."""
        payment = payment_of(call.session, call.client_id, request.payment_id, request.payment_request_id)
        if payment is None:
            return answer("ORDER_NOT_EXIST")
        own = _own_result(payment)
        return answer(
            paymentStatus=payment.status,
            paymentResultCode=own["resultCode"],
            paymentResultMessage=own["resultMessage"],
            paymentRequestId=payment.request_id,
            paymentId=payment.payment_id,
            paymentAmount=amount(payment.currency, payment.value),
            actualPaymentAmount=amount(payment.currency, payment.value) if payment.paid else None,
            customsDeclarationAmount=declarable(payment),
            paymentCreateTime=iso(payment.created),
            paymentTime=iso(payment.paid) if payment.status == "SUCCESS" else None,
            transactions=[_transaction(refund) for refund in _refunds(call.session, payment)],
        )

    def cancel(self, call: Call, request: PaymentKey) -> Answer:
        """Ends a payment that is not final, or gives a successful one back in full until 00:15 of the next day."""
        payment = payment_of(call.session, call.client_id, request.payment_id, request.payment_request_id)
        if payment is None:
            return answer("ORDER_NOT_EXIST")
        call = call.inherit(payment.clock)
        if payment.status != "CANCELLED":
            refusal = _cannot_cancel(call, payment)
            status = Status.FAILED if refusal else Status.SUCCEEDED
            call.session.add(_entry(payment, Kind.CANCEL, status, call.moment))
            if refusal:
                return answer(refusal)
            self._cancel(call, payment)
        return answer(
            paymentId=payment.payment_id, paymentRequestId=payment.request_id, cancelTime=iso(payment.cancelled)
        )

    def on_portal(self, session: Session, moment: Moment, payment: Payment) -> str | None:
        """A cancel made by hand on the provider's portal; the merchant is told. Answers why it is refused."""
        if payment.status != "SUCCESS" or any(refund.status != "FAIL" for refund in _refunds(session, payment)):
            return "not paid, or partly refunded"
        session.add(_entry(payment, Kind.CANCEL, Status.SUCCEEDED, moment))
        payment.status, payment.cancelled = "CANCELLED", moment.now
        self.notices.canceled(session, moment, payment)
        return None

    def _cancel(self, call: Call, payment: Payment) -> None:
        if payment.status == "PROCESSING":
            ledger.settle(call.session, payment.request_id, Kind.DEBIT, Status.FAILED)
            self.agenda.drop(call.session, payment.payment_id, SETTLE, CLOSE)
        payment.status = "CANCELLED"
        payment.cancelled = call.moment.now


def wrong_amount(wallet: Wallet, wanted: Amount) -> str | None:
    """The code for an amount this wallet cannot pay or refund."""
    if wanted.currency != wallet.currency:
        return "CURRENCY_NOT_SUPPORT"
    if wanted.value % wallet.multiple:
        return "PARAM_ILLEGAL"
    return "INVALID_AMOUNT" if wanted.value < wallet.minimum else None


def _new_payment(call: Call, request: PayRequest, credential: Credential | None, scripted: Step) -> Payment:
    paid = scripted.code == "SUCCESS" and not scripted.in_process
    return Payment(
        payment_id=payment_number(call.session, call.moment),
        client_id=call.client_id,
        request_id=request.payment_request_id,
        order_id=request.order.reference_order_id,
        wallet=request.payment_method.payment_method_type,
        access_token=request.payment_method.payment_method_id,
        credential_id=credential.id if credential else None,
        currency=request.payment_amount.currency,
        value=request.payment_amount.value,
        notify_url=request.payment_notify_url,
        clock=call.moment.clock,
        created=call.moment.now,
        status="PROCESSING" if scripted.in_process else "SUCCESS" if paid else "FAIL",
        code=scripted.code,
        news=scripted.news.name,
        paid=call.moment.now if paid else None,
    )


def _repeat(payment: Payment, request: PayRequest) -> Answer:
    """Same id, same parameters: the same result again. A success that was cancelled since stays told as it is."""
    wanted = request.payment_amount
    same = (payment.currency, payment.value, payment.access_token) == (
        wanted.currency,
        wanted.value,
        request.payment_method.payment_method_id,
    )
    if not same:
        return answer("REPEAT_REQ_INCONSISTENT")
    return answer("ORDER_IS_CANCELED") if payment.status == "CANCELLED" else _outcome(payment)


def _outcome(payment: Payment) -> Answer:
    """What `pay` says about a payment that is not cancelled."""
    own = _own_result(payment)
    if payment.status == "FAIL":
        return answer(own["resultCode"], paymentRequestId=payment.request_id, paymentId=payment.payment_id)
    debited = amount(payment.currency, payment.value)
    paid = payment.status == "SUCCESS"
    return answer(
        own["resultCode"],
        paymentRequestId=payment.request_id,
        paymentId=payment.payment_id,
        paymentAmount=debited,
        actualPaymentAmount=debited if paid else None,
        paymentCreateTime=iso(payment.created),
        paymentTime=iso(payment.paid),
        pspCustomerInfo={"pspName": payment.wallet} if paid else None,
    )


def _own_result(payment: Payment) -> dict[str, str]:
    if payment.status == "CANCELLED":
        return result("ORDER_IS_CANCELED")
    return result("PAYMENT_IN_PROCESS" if payment.status == "PROCESSING" else payment.code)


def _cannot_cancel(call: Call, payment: Payment) -> str | None:
    if payment.status == "FAIL":
        return "ORDER_STATUS_INVALID"
    if payment.paid is None:
        return None
    if any(refund.status != "FAIL" for refund in _refunds(call.session, payment)):
        return "PROCESS_FAIL"
    day = payment.paid.astimezone(ANTOM_ZONE).date() + timedelta(days=1)
    if call.moment.now >= datetime.combine(day, CANCEL_UNTIL, ANTOM_ZONE):
        return "CANCEL_WINDOW_EXCEED"
    return None


def _refunds(session: Session, payment: Payment) -> list[Refund]:
    return list(session.scalars(select(Refund).where(Refund.payment_id == payment.payment_id).order_by(Refund.number)))


def _transaction(refund: Refund) -> dict[str, object]:
    return {
        "transactionType": "REFUND",
        "transactionStatus": refund.status,
        "transactionId": refund.refund_id,
        "transactionRequestId": refund.request_id,
        "transactionAmount": amount(refund.currency, refund.value),
        "transactionTime": iso(refund.done or refund.created),
        "transactionResult": result(refund.code),
    }


def _ledger_status(payment: Payment) -> Status:
    return {"PROCESSING": Status.PROCESSING, "SUCCESS": Status.SUCCEEDED}.get(payment.status, Status.FAILED)


def _entry(payment: Payment, kind: Kind, status: Status, moment: Moment) -> ledger.Entry:
    return ledger.Entry(
        request_id=payment.request_id,
        kind=kind,
        amount=payment.value,
        currency=payment.currency,
        status=status,
        virtual_time=moment.now,
        credential=payment.credential_id,
        merchant_reference=payment.order_id,
        clock=moment.clock,
    )
