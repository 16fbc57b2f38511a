"""The Operations API: refund, capture and void at the gateway; cancel, expire and delete inside Ottu
(gateways/ottu.md §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox import ledger
from sandbox.agenda import Agenda
from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status
from sandbox.ottu.answers import REQUIRED, Answer, Call, Refused, failed, field_errors
from sandbox.ottu.formats import major, minor, timestamp
from sandbox.ottu.messages import OperationRequest
from sandbox.ottu.mids import MIDS
from sandbox.ottu.notices import Notices
from sandbox.ottu.payments import EXPIRE, Payments, ledger_entry
from sandbox.ottu.results import child, signed
from sandbox.ottu.settings import OttuSettings
from sandbox.ottu.state import (
    PAYABLE,
    Attempt,
    Card,
    Merchant,
    Operation,
    Transaction,
    attempts_of,
    operations_of,
    reference_number,
    session_id,
    transaction_of,
)

SETTLE_REFUND = "ottu.settle_refund"
"""The gateway gets to a refund that was only queued."""
WRONG_STATE = "Operation is not allowed in the current state."
EXTERNAL = {"refund": Kind.REFUND, "void": Kind.CANCEL, "capture": None}
"""Operations at the gateway, and how a refused one is booked; a refused capture moves nothing and is not."""
CANCELABLE = PAYABLE | {"cod"}


@dataclass
class Operations:
    """What a merchant does with a transaction besides charging it."""

    settings: OttuSettings
    agenda: Agenda
    payments: Payments
    notices: Notices

    def __post_init__(self) -> None:
        self.agenda.transitions[SETTLE_REFUND] = self._settle_refund

    def perform(self, call: Call) -> Answer:
        """One operation on a transaction found by either of its ids."""
        try:
            request = OperationRequest.model_validate(call.body)
        except ValidationError as error:
            raise Refused(400, field_errors(error)) from error
        call.need(f"payment.{request.operation}")
        if not (request.session_id or request.order_no):
            raise Refused(400, {"session_id": [REQUIRED]})
        txn = transaction_of(call.session, call.merchant.merchant_id, request.session_id, request.order_no)
        if txn is None:
            raise failed("Payment transaction not found.", operation=request.operation)
        call = call.inherit(txn)
        self.payments.lapse(call.session, call.moment.now, txn, paying=False)
        if request.operation in EXTERNAL:
            return self._external(call, txn, request)
        return self._internal(call, txn, request.operation)

    def _internal(self, call: Call, txn: Transaction, operation: str) -> Answer:
        tried = operation == "cancel" and bool(_debits(call.session, txn))
        if operation != "delete" and txn.state not in (CANCELABLE if operation == "cancel" else PAYABLE):
            if tried:
                _book(call, txn, Kind.CANCEL, txn.amount, Status.FAILED)
            return failed(WRONG_STATE, operation=operation).answer
        if operation == "expire":
            txn.state = "expired"
        elif operation == "cancel":
            self.payments.abandon(call.session, txn)
            txn.state = "canceled"
            if tried:
                _book(call, txn, Kind.CANCEL, txn.amount, Status.SUCCEEDED)
        else:
            txn.deleted = True
        self.agenda.drop(call.session, txn.session_id, EXPIRE)
        return Answer(200, {"detail": "Operation done successfully", "operation": operation, "result": "success"})

    def _external(self, call: Call, txn: Transaction, request: OperationRequest) -> Answer:
        """At the gateway, once per Tracking-Key: a repeat does nothing and tells how the operation stands."""
        tracking_key = call.headers.get("tracking-key")
        if tracking_key and (earlier := _tracked(call, tracking_key)):
            return Answer(200, _as_transaction(call, earlier))
        try:
            units = _units(call.session, txn, request)
        except ValueError as error:
            kind = EXTERNAL[request.operation]
            if kind is not None and _debits(call.session, txn):
                _book(call, txn, kind, _asked(txn, request), Status.FAILED)
            return failed(str(error), operation=request.operation).answer
        operation = Operation(
            session_id=session_id(),
            parent=txn.session_id,
            merchant_id=txn.merchant_id,
            kind=request.operation,
            amount=units,
            state=self._first_state(call.merchant, request.operation),
            reference_number=reference_number(),
            tracking_key=tracking_key,
            created=call.moment.now,
        )
        call.session.add(operation)
        _move_money(call, txn, operation)
        call.session.flush()
        if operation.state == "refund_queued":
            after = self.settings.settle_refund_after
            self.agenda.plan(call.session, call.moment, SETTLE_REFUND, operation.session_id, after)
        body = _told(call.merchant, txn, operation)
        self.notices.operation(call.session, call.moment, call.merchant, body)
        return Answer(200, body)

    def _first_state(self, merchant: Merchant, kind: str) -> str:
        if kind == "refund" and merchant.instance.refunds != "real_time":
            return "refund_queued"
        return {"refund": "refunded", "void": "voided", "capture": "paid"}[kind]

    def _settle_refund(self, session: Session, child_id: str, moment: Moment) -> None:
        operation = session.scalars(select(Operation).where(Operation.session_id == child_id)).one()
        txn = session.scalars(select(Transaction).where(Transaction.session_id == operation.parent)).one()
        merchant = session.get_one(Merchant, operation.merchant_id)
        rejected = merchant.instance.refunds == "rejected"
        operation.state = "refund_rejected" if rejected else "refunded"
        if operation.entry is not None:
            entry = session.get_one(ledger.Entry, operation.entry)
            entry.status = Status.FAILED if rejected else Status.SUCCEEDED
        self.notices.operation(session, moment, merchant, _told(merchant, txn, operation))


def _units(session: Session, txn: Transaction, request: OperationRequest) -> int:
    """How much may be moved, in minor units. Raises ValueError with the reason why nothing may."""
    children = operations_of(session, txn)
    kind = request.operation
    if txn.settled_pg_code is None or txn.state not in ("paid", "authorized"):
        raise ValueError(WRONG_STATE)
    mid = MIDS[txn.settled_pg_code]
    if kind not in mid.operations:
        raise ValueError("Operation is not supported by the payment gateway.")
    if txn.currency != mid.currency or request.destination == "wallet":
        raise ValueError("Operation is not available for this payment.")
    left = _left(txn, children, kind)
    wanted = left if request.amount is None or kind == "void" else minor(request.amount, txn.currency)
    if wanted <= 0 or wanted > left:
        raise ValueError("Amount exceeds the balance of the payment." if left else WRONG_STATE)
    return wanted


def _left(txn: Transaction, children: list[Operation], kind: str) -> int:
    """What an operation may still take, in minor units: never more than was authorized or captured."""
    captured = _sum(children, "paid")
    voided = any(child.kind == "void" for child in children)
    if kind == "refund":
        paid = txn.amount if txn.state == "paid" else captured
        return paid - _sum(children, "refunded", "refund_queued")
    if txn.state != "authorized" or voided:
        return 0
    if kind == "void":
        return 0 if captured else txn.amount
    return txn.amount - captured


def _sum(children: list[Operation], *states: str) -> int:
    return sum(child.amount for child in children if child.state in states)


def _move_money(call: Call, txn: Transaction, operation: Operation) -> None:
    """Books an operation. The first capture settles the entry of the authorization, a void lets it fail."""
    if operation.kind == "refund":
        status = Status.PROCESSING if operation.state == "refund_queued" else Status.SUCCEEDED
        operation.entry = _book(call, txn, Kind.REFUND, operation.amount, status)
        return
    held = [entry for entry in _debits(call.session, txn) if entry.status == Status.PROCESSING]
    if operation.kind == "void":
        for entry in held:
            entry.status = Status.FAILED
        _book(call, txn, Kind.CANCEL, operation.amount, Status.SUCCEEDED)
    elif held:
        held[0].status, held[0].amount = Status.SUCCEEDED, operation.amount
    else:
        _book(call, txn, Kind.DEBIT, operation.amount, Status.SUCCEEDED)


def _book(call: Call, txn: Transaction, kind: Kind, units: int, status: Status) -> int:
    """Adds a movement to the ledger; its number. A refund goes by the id the merchant gave it, its tracking key."""
    paid_with = next((row.card_id for row in reversed(attempts_of(call.session, txn)) if row.card_id), None)
    card = call.session.get(Card, paid_with) if paid_with else None
    entry = ledger_entry(txn, kind, units, status, call.moment, card)
    if kind is Kind.REFUND:
        entry.request_id = call.headers.get("tracking-key") or entry.request_id
    call.session.add(entry)
    call.session.flush()
    return entry.number


def _debits(session: Session, txn: Transaction) -> list[ledger.Entry]:
    numbers = select(Attempt.entry).where(Attempt.session_id == txn.session_id, Attempt.entry.is_not(None))
    return list(session.scalars(select(ledger.Entry).where(ledger.Entry.number.in_(numbers))))


def _asked(txn: Transaction, request: OperationRequest) -> int:
    """The amount of a refused request, as far as it has one."""
    try:
        return txn.amount if request.amount is None else minor(request.amount, txn.currency)
    except ValueError:
        return 0


def _tracked(call: Call, tracking_key: str) -> Operation | None:
    own = select(Operation).where(Operation.merchant_id == call.merchant.merchant_id)
    return call.session.scalar(own.where(Operation.tracking_key == tracking_key))


def _result(operation: Operation) -> str:
    return {"refund_queued": "queued", "refund_rejected": "rejected"}.get(operation.state, "success")


def _told(merchant: Merchant, txn: Transaction, operation: Operation) -> dict[str, Any]:
    """The first answer to an operation, and its webhook."""
    body = {
        "amount": major(operation.amount, txn.currency),
        "initiator": {},
        "is_sandbox": True,
        "operation": operation.kind,
        "order_no": txn.order_no or "",
        "pg_code": txn.settled_pg_code,
        "pg_params": {},
        "pg_response": {},
        "reference_number": operation.reference_number,
        "result": _result(operation),
        "session_id": txn.session_id,
        "source": "input",
        "success": operation.state != "refund_rejected",
        "timestamp_utc": timestamp(operation.created),
        "txn": child(txn, operation),
    }
    return signed(merchant, body)


def _as_transaction(call: Call, operation: Operation) -> dict[str, Any]:
    """What a repeated Tracking-Key is answered with: the child in the form of a payment, another form than the first
    answer's."""
    parent = select(Transaction).where(Transaction.session_id == operation.parent)
    txn = call.session.scalars(parent).one()
    amount = major(operation.amount, txn.currency)
    mid = MIDS[txn.settled_pg_code or txn.given["pg_codes"][0]]
    body = {
        "amount": amount,
        "amount_details": {
            "currency_code": txn.currency,
            "amount": amount,
            "total": amount,
            "fee": major(0, txn.currency),
        },
        "currency_code": txn.currency,
        "gateway_account": mid.code,
        "gateway_name": mid.pg,
        "gateway_response": {},
        "initiator": {},
        "is_sandbox": True,
        "pg_params": {},
        "reference_number": operation.reference_number,
        "remaining_amount": major(0, txn.currency),
        "result": _result(operation),
        "session_id": operation.session_id,
        "state": operation.state,
        "timestamp_utc": timestamp(operation.created),
    }
    return signed(call.merchant, body)
