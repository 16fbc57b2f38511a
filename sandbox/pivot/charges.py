"""The life of a charge, from waiting for the customer to its end (gateways/pay-and-save.md §2.8).

The result is decided in the transaction that starts the charge, unless it settles later, is reviewed, or waits for a
capture: an answer says `PROCESSING` while a read after it already tells the result.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox import ledger
from sandbox.agenda import Agenda
from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status
from sandbox.pivot import cards
from sandbox.pivot.answers import minor_units
from sandbox.pivot.cards import Outcome
from sandbox.pivot.notices import Notices
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import (
    Card,
    Charge,
    Contract,
    PaymentSession,
    StoredMethod,
    charge_of,
    new_id,
)

EXPIRE = "pivot.expire"
"""A session's time runs out."""
SETTLE = "pivot.settle"
"""A charge in process gets its result."""


@dataclass
class Charges:
    """Moves charges, and their sessions with them."""

    settings: PivotSettings
    agenda: Agenda
    notices: Notices

    def __post_init__(self) -> None:
        self.agenda.transitions[EXPIRE] = self._expire
        self.agenda.transitions[SETTLE] = self._settle

    def open(self, session: Session, moment: Moment, payment: PaymentSession) -> Charge:
        """A charge that waits for the customer."""
        charge = Charge(new_id(), payment.id, moment.now, moment.now)
        session.add(charge)
        _touch(payment, "REQUIRE_ACTION", moment)
        session.flush()
        return charge

    def start(
        self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge, outcome: Outcome
    ) -> int | None:
        """The customer has submitted, or nobody needs to: money is now being moved. The callback's number."""
        charge.failure, charge.issuer = outcome.failure, outcome.issuer
        charge.status, charge.updated = "PROCESSING", moment.now
        _touch(payment, "PROCESSING", moment)
        entry = ledger.Entry(
            request_id=payment.reference,
            kind=Kind.DEBIT,
            amount=minor_units(payment.currency, payment.value),
            currency=payment.currency,
            status=Status.PROCESSING,
            virtual_time=moment.now,
            credential=charge.method_id,
            merchant_reference=_merchant_reference(payment),
            clock=moment.clock,
        )
        session.add(entry)
        session.flush()
        charge.entry = entry.number
        return self.notices.processing(session, moment, payment, charge)

    def settle_later(self, session: Session, moment: Moment, payment: PaymentSession) -> None:
        """The channel takes its time."""
        self.agenda.plan(session, moment, SETTLE, payment.id, self.settings.settle_after)

    def _settle(self, session: Session, subject: str, moment: Moment) -> None:
        payment = _found(session, subject)
        charge = charge_of(session, payment)
        if charge is not None and payment.status == "PROCESSING":
            self.decide(session, moment, payment, charge)

    def decide(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> int | None:
        """Gives a charge in process the result it was started with; the callback's number."""
        if charge.failure:
            return self.fail(session, moment, payment, charge, charge.failure)
        charge.authorized = payment.value
        if payment.manual_capture:
            charge.status, charge.updated = "WAITING_FOR_CAPTURE", moment.now
            return None
        return self.take(session, moment, payment, charge, payment.value)

    def take(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge, value: int) -> int | None:
        """The money is there, `value` whole units of it."""
        charge.captured, charge.paid = value, moment.now
        charge.status, charge.updated = "SUCCESS", moment.now
        _touch(payment, "PAID", moment)
        entry = session.get_one(ledger.Entry, charge.entry)
        entry.status, entry.amount = Status.SUCCEEDED, minor_units(payment.currency, value)
        if payment.keep or payment.recurring_id:
            entry.credential = self._store(session, moment, payment, charge).id
        self._close(session, payment)
        return self.notices.result(session, moment, payment, charge)

    def fail(
        self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge, failure: str
    ) -> int | None:
        """The charge is over without money."""
        charge.failure = failure
        charge.status, charge.updated = "FAILED", moment.now
        self.book_failure(session, charge)
        return self.cancel(session, moment, payment, "CHARGE_FAILED")

    def cancel(self, session: Session, moment: Moment, payment: PaymentSession, reason: str) -> int | None:
        """Ends the session; the callback's number."""
        _touch(payment, "CANCELLED", moment)
        payment.cancelled, payment.cancellation_reason = moment.now, reason
        payment.expires_at = moment.now
        self._close(session, payment)
        return self.notices.result(session, moment, payment, charge_of(session, payment))

    def _expire(self, session: Session, subject: str, moment: Moment) -> None:
        self.expire(session, moment, _found(session, subject))

    def expire(self, session: Session, moment: Moment, payment: PaymentSession) -> int | None:
        """The time has run out; an authorization that was not captured is released."""
        if not payment.open:
            return None
        charge = charge_of(session, payment)
        if charge is not None:
            charge.failure, charge.issuer = "CHARGE_EXPIRED", None
            charge.status, charge.updated = "EXPIRED", moment.now
            self.book_failure(session, charge)
        _touch(payment, "EXPIRED", moment)
        self._close(session, payment)
        if not self.settings.tells_expiry:
            return None
        return self.notices.result(session, moment, payment, charge)

    def book_failure(self, session: Session, charge: Charge) -> None:
        """A movement of money that came to nothing; a charge that never came so far has no line."""
        if charge.entry is not None:
            session.get_one(ledger.Entry, charge.entry).status = Status.FAILED

    def _close(self, session: Session, payment: PaymentSession) -> None:
        self.agenda.drop(session, payment.id, EXPIRE, SETTLE)

    def _store(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> StoredMethod:
        """The token of what was paid with: one per customer and card or wallet, whatever the times it was saved."""
        method = session.get(StoredMethod, charge.method_id) if charge.method_id else None
        method = method or _same_method(session, payment, charge) or _new_method(session, moment, payment, charge)
        if charge.card_id:
            method.card_id = charge.card_id  # a renewed card keeps its token
        if payment.script:
            method.script, method.position = payment.script, 0
        charge.method_id = method.id
        contract = session.get(Contract, payment.recurring_id) if payment.recurring_id else None
        if contract is not None and contract.method_id is None:
            contract.method_id, contract.customer_id = method.id, payment.customer_id
        return method


def _found(session: Session, session_id: str) -> PaymentSession:
    return session.scalars(select(PaymentSession).where(PaymentSession.id == session_id)).one()


def _touch(payment: PaymentSession, status: str, moment: Moment) -> None:
    payment.status, payment.updated = status, moment.now


def _merchant_reference(payment: PaymentSession) -> str | None:
    """The order a payment is for; Pivot has no field for it, merchants put it into the metadata."""
    invoice = (payment.echo.get("metadata") or {}).get("invoice")
    return invoice if isinstance(invoice, str) else None


def _identity(session: Session, payment: PaymentSession, charge: Charge) -> str:
    if charge.card_id:
        return cards.fingerprint(session.get_one(Card, charge.card_id).number)
    return f"{payment.channel}:{charge.phone}"


def _same_method(session: Session, payment: PaymentSession, charge: Charge) -> StoredMethod | None:
    return session.scalar(
        select(StoredMethod).where(
            StoredMethod.customer_id == payment.customer_id,
            StoredMethod.identity == _identity(session, payment, charge),
            StoredMethod.status == "ACTIVE",
        )
    )


def _new_method(session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> StoredMethod:
    card = session.get(Card, charge.card_id) if charge.card_id else None
    method = StoredMethod(
        id=f"cred_{uuid.uuid4().hex[:24]}",
        client_id=payment.client_id,
        customer_id=payment.customer_id,
        token=new_id(),
        type="CARD" if card else "EWALLET",
        identity=_identity(session, payment, charge),
        channel=cards.brand(card.number) if card else payment.channel,
        card_id=charge.card_id,
        phone=charge.phone,
        clock=payment.clock,
        created=moment.now,
    )
    session.add(method)
    session.flush()
    return method
