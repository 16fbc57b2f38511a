"""Captures and refunds (gateways/pay-and-save.md §3.4, §3.5, §6.4). Both are first accepted and then done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sandbox import ledger
from sandbox.agenda import Agenda
from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status
from sandbox.pivot.answers import Answer, ApiError, Call, listed, minor_units, success
from sandbox.pivot.charges import Charges
from sandbox.pivot.messages import CaptureRequest, ListQuery, Nothing, RefundRequest
from sandbox.pivot.notices import Notices
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import (
    Capture,
    Charge,
    Customer,
    PaymentSession,
    Refund,
    captures_of,
    charge_of,
    new_id,
    session_of,
)
from sandbox.pivot.views import capture_view, refund_view

SETTLE_REFUND = "pivot.settle_refund"
"""A refund comes to its next state."""
CHANNEL_FAILS = ("1001-", "2001-")
"""Beginnings of a refund's reference with which the card's bank does not take it back."""
TRANSFER_FAILS = ("2001-", "2002-")
BAD_ACCOUNTS = ("999966660008", "999966660002")
"""Account numbers to which a transfer fails; the second does not exist."""


@dataclass
class Refunds:
    """Money given back, and money taken of an authorization."""

    settings: PivotSettings
    agenda: Agenda
    notices: Notices
    charges: Charges

    def __post_init__(self) -> None:
        self.agenda.transitions[SETTLE_REFUND] = self._settle

    def capture(self, call: Call, request: CaptureRequest) -> Answer:
        """`POST /v2/payments/{id}/capture`: answered as pending, done at once. Without an amount: all that is left."""
        payment = _payment(call, call.path["id"])
        call = call.inherit(payment.clock)
        charge = charge_of(call.session, payment)
        if charge is None or charge.status != "WAITING_FOR_CAPTURE":
            raise ApiError("invalid_state")
        taken = sum(capture.value for capture in captures_of(call.session, payment))
        left = (charge.authorized or 0) - taken
        value = request.amount.value if request.amount else left
        if value > left:
            raise ApiError("api_validation_error", "amount.value", f"must be at most {left}")
        released = request.release_remaining_amount
        capture = Capture(new_id(), payment.id, value, released, "SUCCESS", call.moment.now)
        call.session.add(capture)
        call.session.flush()
        if released or value == left:
            self.charges.take(call.session, call.moment, payment, charge, taken + value)
        return success(capture_view(payment, capture, "PENDING"))

    def refund(self, call: Call, request: RefundRequest) -> Answer:
        """`POST /v1/refunds`, of a paid session, up to what was captured."""
        payment, charge = self._paid(call, request)
        call = call.inherit(payment.clock)
        if self.settings.unique_references and _of_reference(call, request.client_reference_id):
            raise ApiError("duplicate_error", "clientReferenceId", "was used before")
        value = self._value(call, request, payment, charge)
        account = _account(call.session.get_one(Customer, payment.customer_id).details, request)
        if request.method == "TRANSFER_ONLY" and account is None:
            raise ApiError("api_validation_error", "transferDestination", "must be filled")
        refund = self._record(call, request, charge, payment, value, account)
        self.notices.refund(call.session, call.moment, payment, charge, refund)
        self.agenda.plan(call.session, call.moment, SETTLE_REFUND, refund.id, self.settings.settle_after)
        return success(refund_view(payment, charge, refund))

    def _paid(self, call: Call, request: RefundRequest) -> tuple[PaymentSession, Charge]:
        if request.payment_session_id is None and request.charge_id is None:
            raise ApiError("api_validation_error", "paymentSessionId", "must be filled")
        session_id = request.payment_session_id
        if session_id is None:
            session_id = call.session.scalar(select(Charge.session_id).where(Charge.id == request.charge_id))
        payment = _payment(call, session_id or "")
        charge = charge_of(call.session, payment)
        if charge is None or payment.status != "PAID":
            raise ApiError("invalid_state")
        return payment, charge

    def _value(self, call: Call, request: RefundRequest, payment: PaymentSession, charge: Charge) -> int:
        """Also pending refunds count; failed ones do not."""
        captured = charge.captured or 0
        if not request.is_full_amount and request.amount is None:
            raise ApiError("api_validation_error", "amount", "must be filled")
        value = captured if request.is_full_amount or request.amount is None else request.amount.value
        given_back = call.session.scalar(
            select(func.sum(Refund.value)).where(Refund.session_id == payment.id, Refund.status != "FAILED")
        )
        if (given_back or 0) + value > captured:
            raise ApiError("api_validation_error", "amount.value", "exceeds what is left of the payment")
        return value

    def _record(
        self,
        call: Call,
        request: RefundRequest,
        charge: Charge,
        payment: PaymentSession,
        value: int,
        account: str | None,
    ) -> Refund:
        debit = call.session.get_one(ledger.Entry, charge.entry)
        entry = ledger.Entry(
            request_id=request.client_reference_id,
            kind=Kind.REFUND,
            amount=minor_units(payment.currency, value),
            currency=payment.currency,
            status=Status.PROCESSING,
            virtual_time=call.moment.now,
            credential=debit.credential,
            merchant_reference=debit.merchant_reference,
            clock=call.moment.clock,
        )
        call.session.add(entry)
        call.session.flush()
        refund = Refund(
            id=new_id(),
            client_id=call.client.client_id,
            reference=request.client_reference_id,
            session_id=payment.id,
            value=value,
            request={
                "isFullAmount": request.is_full_amount,
                "reason": request.reason,
                "description": request.description or "",
                "method": request.method,
                "metadata": request.metadata or {},
            },
            account=account,
            clock=call.moment.clock,
            created=call.moment.now,
            updated=call.moment.now,
            entry=entry.number,
        )
        call.session.add(refund)
        call.session.flush()
        return refund

    def _settle(self, session: Session, refund_id: str, moment: Moment) -> None:
        refund = session.scalars(select(Refund).where(Refund.id == refund_id)).one()
        payment = session.scalars(select(PaymentSession).where(PaymentSession.id == refund.session_id)).one()
        charge = session.scalars(select(Charge).where(Charge.session_id == payment.id)).one()
        refund.status, refund.destination = _next_state(refund)
        refund.updated = moment.now
        if refund.status == "WAITING_BANK_TRANSFER":
            self.agenda.plan(session, moment, SETTLE_REFUND, refund.id, self.settings.settle_after)
        else:
            done = Status.SUCCEEDED if refund.status == "SUCCESS" else Status.FAILED
            session.get_one(ledger.Entry, refund.entry).status = done
        self.notices.refund(session, moment, payment, charge, refund)

    def read(self, call: Call, _request: Nothing) -> Answer:
        """`GET /v1/refunds/{id}`."""
        own = select(Refund).where(Refund.client_id == call.client.client_id, Refund.id == call.path["id"])
        refund = call.session.scalar(own)
        if refund is None:
            raise ApiError("resource_missing")
        return success(_shown(call, refund))

    def search(self, call: Call, query: ListQuery) -> Answer:
        """`GET /v1/refunds`, newest first."""
        own = select(Refund).where(Refund.client_id == call.client.client_id).order_by(Refund.number.desc())
        rows = call.session.scalars(own).all()
        return listed(rows, lambda refund: _shown(call, refund), query.page, query.per_page)


def _next_state(refund: Refund) -> tuple[str, str | None]:
    """Status and destination: the card's bank first, a bank transfer where that fails or is not wanted (§6.4)."""
    if refund.status == "WAITING_BANK_TRANSFER":
        failed = refund.reference.startswith(TRANSFER_FAILS) or refund.account in BAD_ACCOUNTS
        return ("FAILED" if failed else "SUCCESS"), "ACCOUNT"
    if refund.request["method"] == "AUTO" and not refund.reference.startswith(CHANNEL_FAILS):
        return "SUCCESS", "CHANNEL"
    return ("WAITING_BANK_TRANSFER", "ACCOUNT") if refund.account else ("FAILED", "CHANNEL")


def _account(customer: dict[str, Any], request: RefundRequest) -> str | None:
    """The account of the request, else the one the customer prefers."""
    if request.transfer_destination:
        return request.transfer_destination.channel_information.account_number
    preferred = (customer.get("refundPreference") or {}).get("transferDestination")
    return str(preferred["channelInformation"]["accountNumber"]) if preferred else None


def _payment(call: Call, session_id: str) -> PaymentSession:
    payment = session_of(call.session, call.client.client_id, session_id)
    if payment is None:
        raise ApiError("resource_missing")
    return payment


def _of_reference(call: Call, reference: str) -> Refund | None:
    own = select(Refund).where(Refund.client_id == call.client.client_id, Refund.reference == reference)
    return call.session.scalar(own.limit(1))


def _shown(call: Call, refund: Refund) -> dict[str, Any]:
    payment = _payment(call, refund.session_id)
    charge = call.session.scalars(select(Charge).where(Charge.session_id == payment.id)).one()
    return refund_view(payment, charge, refund)
