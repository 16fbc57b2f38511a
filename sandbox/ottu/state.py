"""Ottu's books: merchants, cards with their agreements, payment transactions with their attempts, operations."""

from __future__ import annotations

import json
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.database import NEVER_REUSED, Table
from sandbox.ottu.scripts import Reply, reply
from sandbox.ottu.settings import Instance
from sandbox.ottu.testcards import last_day, months_from

PAYABLE = frozenset({"created", "pending", "attempted"})
CONFIRMABLE = PAYABLE | {"failed", "expired"}
"""States in which the gateway may still confirm a payment (gateways/ottu.md §2.7)."""
CAPITALS = string.ascii_uppercase + string.digits


class Merchant(Table):
    """A merchant's Ottu: its keys, its users with their passwords and permissions, where it is told, how it is set."""

    __tablename__ = "ottu_merchants"

    merchant_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    api_key: Mapped[str] = mapped_column(unique=True)
    hmac_key: Mapped[str]
    webhook_url: Mapped[str | None]
    operations_webhook_url: Mapped[str | None]
    users: Mapped[str]
    """JSON list of `{username, password, permissions}`."""
    settings: Mapped[str]

    @property
    def instance(self) -> Instance:
        return Instance.model_validate_json(self.settings)


class Card(Table):
    """A saved card, under one token however often the customer pays with it."""

    __tablename__ = "ottu_cards"
    __table_args__ = (Index("ottu_cards_by_customer", "merchant_id", "customer_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    merchant_id: Mapped[str]
    customer_id: Mapped[str]
    pg_code: Mapped[str]
    number: Mapped[str]
    brand: Mapped[str]
    name: Mapped[str]
    expiry_year: Mapped[int]
    expiry_month: Mapped[int]
    clock: Mapped[str | None]
    created: Mapped[datetime]
    script: Mapped[str] = mapped_column(default="success")
    position: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[bool] = mapped_column(default=False)

    @property
    def expires_at(self) -> datetime:
        """The first instant at which the card is no longer valid."""
        year, month = months_from(last_day((self.expiry_year, self.expiry_month)), 1)
        return datetime(year, month, 1, tzinfo=UTC)

    def status(self, now: datetime) -> str:
        """`active`, `expired`, `revoked` by the payer, or `deleted`."""
        if self.deleted:
            return "deleted"
        return "revoked" if self.revoked else "active" if now < self.expires_at else "expired"


class Link(Table):
    """The card an agreement is paid with: one at a time."""

    __tablename__ = "ottu_links"

    merchant_id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    agreement_id: Mapped[str] = mapped_column(primary_key=True)
    card_id: Mapped[str] = mapped_column(index=True)


class Transaction(Table):
    """A payment transaction. `fields` are the Checkout API's, as last set; `amount` in minor units of `currency`."""

    __tablename__ = "ottu_transactions"
    __table_args__ = (Index("ottu_transactions_by_order", "merchant_id", "order_no"), NEVER_REUSED)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    session_id: Mapped[str] = mapped_column(unique=True)
    merchant_id: Mapped[str]
    fields: Mapped[str]
    order_no: Mapped[str | None]
    currency: Mapped[str]
    amount: Mapped[int]
    created: Mapped[datetime]
    expires_at: Mapped[datetime]
    clock: Mapped[str | None]
    base_url: Mapped[str]
    state: Mapped[str] = mapped_column(default="created")
    settled_pg_code: Mapped[str | None] = mapped_column(default=None)
    deleted: Mapped[bool] = mapped_column(default=False)

    @property
    def given(self) -> dict[str, Any]:
        """The Checkout API's fields."""
        fields: dict[str, Any] = json.loads(self.fields)
        return fields

    @property
    def agreement_id(self) -> str | None:
        """Of an auto_debit transaction."""
        return (self.given.get("agreement") or {}).get("id")


class Attempt(Table):
    """One try to pay. `reply` is what the gateway said, `later` what it says when it is asked again."""

    __tablename__ = "ottu_attempts"
    __table_args__ = NEVER_REUSED

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    session_id: Mapped[str] = mapped_column(index=True)
    reference_number: Mapped[str] = mapped_column(unique=True)
    pg_code: Mapped[str]
    reply: Mapped[str]
    later: Mapped[str | None]
    card_number: Mapped[str | None]
    card_id: Mapped[str | None]
    by_merchant: Mapped[bool]
    created: Mapped[datetime]
    told: Mapped[datetime]
    """When the gateway said `reply`."""
    entry: Mapped[int | None] = mapped_column(default=None)
    """Its number in the ledger."""

    @property
    def said(self) -> Reply:
        return reply(self.reply)


class Challenge(Table):
    """A 3-D Secure question to the customer, by an unguessable id; what the card and the script were until it is
    answered."""

    __tablename__ = "ottu_challenges"

    id: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str]
    choice: Mapped[str]
    """JSON."""
    answered: Mapped[bool] = mapped_column(default=False)


class Operation(Table):
    """A refund, capture or void that Ottu accepted: a child transaction with a session id of its own."""

    __tablename__ = "ottu_operations"
    __table_args__ = (Index("ottu_operations_by_tracking_key", "merchant_id", "tracking_key"), NEVER_REUSED)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    session_id: Mapped[str] = mapped_column(unique=True)
    parent: Mapped[str] = mapped_column(index=True)
    merchant_id: Mapped[str]
    kind: Mapped[str]
    amount: Mapped[int]
    state: Mapped[str]
    reference_number: Mapped[str]
    tracking_key: Mapped[str | None]
    created: Mapped[datetime]
    entry: Mapped[int | None] = mapped_column(default=None)


class Inquiry(Table):
    """A payment status query that was let through, for the limits on them."""

    __tablename__ = "ottu_inquiries"
    __table_args__ = (Index("ottu_inquiries_by_session", "session_id", "asked"), NEVER_REUSED)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    merchant_id: Mapped[str]
    session_id: Mapped[str]
    clock: Mapped[str | None]
    asked: Mapped[datetime]


def session_id() -> str:
    """40 hexadecimal digits."""
    return secrets.token_hex(20)


def reference_number() -> str:
    """The instance's prefix and capitals."""
    return "sandbox" + "".join(secrets.choice(CAPITALS) for _ in range(10))


def card_token() -> str:
    """16 digits that look like a card number and are none."""
    return "94" + "".join(secrets.choice(string.digits) for _ in range(14))


def transaction_of(
    session: Session, merchant_id: str, session_id: str | None, order_no: str | None = None
) -> Transaction | None:
    """A merchant's transaction by session id, which wins, or the newest with an order number."""
    own = select(Transaction).where(Transaction.merchant_id == merchant_id, Transaction.deleted.is_(False))
    if session_id:
        return session.scalar(own.where(Transaction.session_id == session_id))
    return session.scalar(own.where(Transaction.order_no == order_no).order_by(Transaction.number.desc()).limit(1))


def attempts_of(session: Session, txn: Transaction) -> list[Attempt]:
    """Oldest first."""
    rows = select(Attempt).where(Attempt.session_id == txn.session_id).order_by(Attempt.number)
    return list(session.scalars(rows))


def operations_of(session: Session, txn: Transaction) -> list[Operation]:
    """A transaction's children, oldest first."""
    rows = select(Operation).where(Operation.parent == txn.session_id).order_by(Operation.number)
    return list(session.scalars(rows))


def card_of(session: Session, merchant_id: str, customer_id: str | None, token: str) -> Card | None:
    """A customer's card by its token, unless it was deleted."""
    return session.scalar(
        select(Card).where(
            Card.merchant_id == merchant_id,
            Card.customer_id == customer_id,
            Card.token == token,
            Card.deleted.is_(False),
        )
    )


def cards_of(session: Session, merchant_id: str, customer_id: str) -> list[Card]:
    """A customer's cards, the newest first."""
    own = select(Card).where(Card.merchant_id == merchant_id, Card.customer_id == customer_id, Card.deleted.is_(False))
    return list(session.scalars(own.order_by(Card.created.desc(), text("rowid DESC"))))


def agreements_of(session: Session, card: Card) -> list[str]:
    """Ids of the agreements a card is locked by."""
    return list(session.scalars(select(Link.agreement_id).where(Link.card_id == card.id).order_by(Link.agreement_id)))
