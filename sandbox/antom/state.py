"""Antom's books: merchants' clients, authorizations, credentials, payments, refunds."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.clocks import Moment
from sandbox.database import Kept, Table


class Client(Table):
    """A merchant: the key its requests are checked with, and where it is notified unless a request says otherwise."""

    __tablename__ = "antom_clients"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    public_key: Mapped[str]
    notify_url: Mapped[str | None]
    name: Mapped[str]


class Consult(Table):
    """One authorization page, from the merchant's consult to the customer's decision."""

    __tablename__ = "antom_consults"
    __table_args__ = (Index("antom_consults_by_state", "client_id", "auth_state"),)

    token: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    wallet: Mapped[str]
    scopes: Mapped[str]
    auth_state: Mapped[str]
    redirect_url: Mapped[str]
    notify_url: Mapped[str | None]
    clock: Mapped[str | None]
    expires_at: Mapped[datetime]
    decision: Mapped[str | None] = mapped_column(default=None)
    script: Mapped[str] = mapped_column(default="success")
    auth_code: Mapped[str | None] = mapped_column(default=None, unique=True)
    code_expires_at: Mapped[datetime | None] = mapped_column(default=None)
    credential_id: Mapped[str | None] = mapped_column(default=None)


class Credential(Table):
    """What the customer granted: a chain of access tokens under one id. `spent_refresh_token` is the last one used."""

    __tablename__ = "antom_credentials"

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    wallet: Mapped[str]
    notify_url: Mapped[str | None]
    clock: Mapped[str | None]
    script: Mapped[str]
    access_token: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    refresh_token: Mapped[str | None] = mapped_column(index=True)
    refresh_expires_at: Mapped[datetime | None]
    spent_refresh_token: Mapped[str | None] = mapped_column(default=None, index=True)
    refreshed_at: Mapped[datetime | None] = mapped_column(default=None)
    position: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[bool] = mapped_column(default=False)

    def status(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        return "revoked" if self.revoked else "active" if now < self.expires_at else "expired"


class Payment(Table):
    """One debit, also a refused one."""

    __tablename__ = "antom_payments"
    __table_args__ = (Index("antom_payments_by_request", "client_id", "request_id", unique=True),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    payment_id: Mapped[str] = mapped_column(unique=True)
    client_id: Mapped[str]
    request_id: Mapped[str]
    order_id: Mapped[str]
    wallet: Mapped[str]
    access_token: Mapped[str]
    credential_id: Mapped[str | None]
    currency: Mapped[str]
    value: Mapped[int]
    notify_url: Mapped[str | None]
    clock: Mapped[str | None]
    created: Mapped[datetime]
    status: Mapped[str]
    """PROCESSING, SUCCESS, FAIL or CANCELLED, as inquiryPayment says it."""
    code: Mapped[str]
    """Result code the payment has, or is going to have when it settles."""
    news: Mapped[str] = mapped_column(default="NORMAL")
    paid: Mapped[datetime | None] = mapped_column(default=None)
    cancelled: Mapped[datetime | None] = mapped_column(default=None)


class Refund(Table):
    """One refund, also a refused one: `code` is then the reason."""

    __tablename__ = "antom_refunds"
    __table_args__ = (Index("antom_refunds_by_request", "client_id", "request_id", unique=True),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    refund_id: Mapped[str] = mapped_column(unique=True)
    client_id: Mapped[str]
    request_id: Mapped[str]
    payment_id: Mapped[str] = mapped_column(index=True)
    currency: Mapped[str]
    value: Mapped[int]
    notify_url: Mapped[str | None]
    clock: Mapped[str | None]
    created: Mapped[datetime]
    status: Mapped[str]
    """PROCESSING, SUCCESS or FAIL, as inquiryRefund says it."""
    code: Mapped[str]
    done: Mapped[datetime | None] = mapped_column(default=None)


def secret(prefix: str) -> str:
    """An unguessable token or code."""
    return f"{prefix}_{secrets.token_urlsafe(24)}"


def payment_number(session: Session, moment: Moment) -> str:
    """A paymentId in Antom's form: 32 digits that begin with the date."""
    return f"{moment.now:%Y%m%d}194010800100188{_next(session, 'payments'):09d}"


def refund_number(session: Session, moment: Moment) -> str:
    """A refundId in Antom's form."""
    return f"{moment.now:%Y%m%d}194010801000188{_next(session, 'refunds'):09d}"


def _next(session: Session, name: str) -> int:
    """Counts on over a reset: a provider's id never stands for two things."""
    kept = session.get(Kept, f"antom.{name}")
    if kept is None:
        kept = Kept(f"antom.{name}", "0")
        session.add(kept)
    kept.value = str(int(kept.value) + 1)
    return int(kept.value)


def payment_of(session: Session, client_id: str, payment_id: str | None, request_id: str | None) -> Payment | None:
    """A client's payment by Antom's id, which wins, or by the client's own."""
    own = select(Payment).where(Payment.client_id == client_id)
    if payment_id:
        return session.scalar(own.where(Payment.payment_id == payment_id))
    return session.scalar(own.where(Payment.request_id == request_id))


def refund_of(session: Session, client_id: str, refund_id: str | None, request_id: str | None) -> Refund | None:
    """A client's refund by Antom's id, which wins, or by the client's own."""
    own = select(Refund).where(Refund.client_id == client_id)
    if refund_id:
        return session.scalar(own.where(Refund.refund_id == refund_id))
    return session.scalar(own.where(Refund.request_id == request_id))


def credential_of(session: Session, client_id: str, access_token: str) -> Credential | None:
    """The credential a client's access token stands for now; a replaced token stands for none."""
    return session.scalar(
        select(Credential).where(Credential.client_id == client_id, Credential.access_token == access_token)
    )
