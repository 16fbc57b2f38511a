"""The state of a payment transaction: what attempts, time and cancelling make of it (gateways/ottu.md §2.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox import ledger
from sandbox.agenda import Agenda
from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status
from sandbox.ottu.mids import MIDS, Mid
from sandbox.ottu.notices import Notices
from sandbox.ottu.results import payment
from sandbox.ottu.scripts import Result
from sandbox.ottu.state import (
    CONFIRMABLE,
    PAYABLE,
    Attempt,
    Card,
    Link,
    Merchant,
    Transaction,
    attempts_of,
    reference_number,
)

INQUIRE = "ottu.inquire"
"""Ottu's own inquiry of an attempt the gateway had not decided."""
EXPIRE = "ottu.expire"
ENTRIES = {Result.SUCCESS: Status.SUCCEEDED, Result.PENDING: Status.PROCESSING}


@dataclass(frozen=True)
class Pay:
    """An attempt to make: at which account, with which card, and what the gateway says now and `later`."""

    mid: Mid
    reply: str
    later: str | None = None
    number: str | None = None
    card: Card | None = None
    by_merchant: bool = False


@dataclass
class Payments:
    """Makes attempts and follows them to their end."""

    agenda: Agenda
    notices: Notices

    def __post_init__(self) -> None:
        self.agenda.transitions[INQUIRE] = self._inquire
        self.agenda.transitions[EXPIRE] = self._expire

    def attempt(self, session: Session, moment: Moment, txn: Transaction, pay: Pay) -> Attempt:
        """One try, in the books and on the transaction."""
        attempt = Attempt(
            session_id=txn.session_id,
            reference_number=reference_number(),
            pg_code=pay.mid.code,
            reply=pay.reply,
            later=pay.later,
            card_number=pay.number,
            card_id=pay.card.id if pay.card else None,
            by_merchant=pay.by_merchant,
            created=moment.now,
            told=moment.now,
        )
        session.add(attempt)
        if txn.amount and attempt.said.result is not Result.CANCELED:
            entry = ledger_entry(txn, Kind.DEBIT, txn.amount, _booked(attempt), moment, pay.card)
            session.add(entry)
            session.flush()
            attempt.entry = entry.number
        if pay.later:
            self.agenda.plan(session, moment, INQUIRE, attempt.reference_number, pay.mid.inquire_after)
        self._apply(session, txn, attempt)
        session.flush()
        return attempt

    def _apply(self, session: Session, txn: Transaction, attempt: Attempt) -> None:
        """What the gateway's word makes of the transaction. Only its own success ends the agreement's old link."""
        mid, result = MIDS[attempt.pg_code], attempt.said.result
        if result is Result.SUCCESS and txn.state in CONFIRMABLE:
            txn.state = "paid" if mid.operation == "purchase" else "authorized"
            txn.settled_pg_code = mid.code
            self.agenda.drop(session, txn.session_id, EXPIRE)
            if not attempt.by_merchant:
                link(session, txn, attempt)
        elif txn.state in PAYABLE:
            txn.state = _unpaid(result, mid)

    def confirm(self, session: Session, moment: Moment, txn: Transaction) -> Attempt | None:
        """Asks the gateway about attempts it had not decided; the last one of which something new was learnt."""
        learnt = [attempt for attempt in attempts_of(session, txn) if attempt.later]
        for attempt in learnt:
            self._settle(session, moment, txn, attempt)
        return learnt[-1] if learnt else None

    def _settle(self, session: Session, moment: Moment, txn: Transaction, attempt: Attempt) -> None:
        attempt.reply, attempt.later, attempt.told = attempt.later or attempt.reply, None, moment.now
        self.agenda.drop(session, attempt.reference_number, INQUIRE)
        if attempt.entry is not None:
            session.get_one(ledger.Entry, attempt.entry).status = _booked(attempt)
        self._apply(session, txn, attempt)

    def _inquire(self, session: Session, reference: str, moment: Moment) -> None:
        """The automatic inquiry, whose result is always told."""
        attempt = session.scalars(select(Attempt).where(Attempt.reference_number == reference)).one()
        txn = session.scalars(select(Transaction).where(Transaction.session_id == attempt.session_id)).one()
        self._settle(session, moment, txn, attempt)
        merchant = session.get_one(Merchant, txn.merchant_id)
        self.notices.payment(session, moment, txn, payment(session, merchant, txn, attempt, moment.now))

    def abandon(self, session: Session, txn: Transaction) -> None:
        """Ends what the gateway has not decided: it will never be paid."""
        for attempt in attempts_of(session, txn):
            if attempt.later is None:
                continue
            attempt.reply, attempt.later = "CANCELLED", None
            self.agenda.drop(session, attempt.reference_number, INQUIRE)
            if attempt.entry is not None:
                session.get_one(ledger.Entry, attempt.entry).status = Status.FAILED

    def plan_expiry(self, session: Session, moment: Moment, txn: Transaction) -> None:
        """Puts the end of a transaction's time on the agenda, in the place of an earlier one."""
        self.agenda.drop(session, txn.session_id, EXPIRE)
        if session.get_one(Merchant, txn.merchant_id).instance.expire_sessions and txn.state in PAYABLE:
            self.agenda.plan(session, moment, EXPIRE, txn.session_id, txn.expires_at - moment.now)

    def _expire(self, session: Session, session_id: str, moment: Moment) -> None:
        txn = session.scalars(select(Transaction).where(Transaction.session_id == session_id)).one()
        if txn.state in PAYABLE:
            txn.state = "expired"

    def lapse(self, session: Session, now: datetime, txn: Transaction, *, paying: bool) -> None:
        """Expires what ran out of time: always when somebody tries to pay, else where the instance does so itself."""
        automatic = session.get_one(Merchant, txn.merchant_id).instance.expire_sessions
        if txn.state in PAYABLE and now >= txn.expires_at and (paying or automatic):
            txn.state = "expired"
            self.agenda.drop(session, txn.session_id, EXPIRE)


def link(session: Session, txn: Transaction, attempt: Attempt) -> None:
    """Ties the agreement to the card that paid, in the place of any other."""
    if attempt.card_id and txn.agreement_id:
        owner = txn.given["customer_id"]
        session.merge(Link(txn.merchant_id, owner, txn.agreement_id, attempt.card_id))
        session.flush()


def ledger_entry(
    txn: Transaction, kind: Kind, units: int, status: Status, moment: Moment, card: Card | None
) -> ledger.Entry:
    """A movement of a transaction. The reference that stays over a cycle's attempts, if one was sent, is in `extra`."""
    reference = (txn.given.get("extra") or {}).get("order_reference")
    return ledger.Entry(
        request_id=txn.order_no or txn.session_id,
        kind=kind,
        amount=units,
        currency=txn.currency,
        status=status,
        virtual_time=moment.now,
        credential=card.id if card else None,
        merchant_reference=reference if isinstance(reference, str) else txn.order_no,
        clock=moment.clock,
    )


def _booked(attempt: Attempt) -> Status:
    """An authorization takes no money yet: it is processing until it is captured or voided."""
    said = attempt.said.result
    if said is Result.SUCCESS and MIDS[attempt.pg_code].operation == "authorize":
        return Status.PROCESSING
    return ENTRIES.get(said, Status.FAILED)


def _unpaid(result: Result, mid: Mid) -> str:
    if result is Result.PENDING:
        return "pending"
    if mid.multiple_attempts:
        return "attempted"
    return "expired" if result is Result.CANCELED else "failed"
