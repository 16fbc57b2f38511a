"""Pivot's books: merchants' clients, access tokens, customers with stored methods, sessions, charges, refunds."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.database import NEVER_REUSED, Table

OPEN = ("REQUIRE_PAYMENT_METHOD", "REQUIRE_CONFIRMATION", "REQUIRE_ACTION", "PROCESSING")
"""Statuses of a session that is not final."""


class Client(Table):
    """A merchant's registration: its API credentials, and where it is called back with which key.

    `recurring_profile` says what the account may do without the customer (gateways/pay-and-save.md §4).
    """

    __tablename__ = "pivot_clients"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    client_secret: Mapped[str]
    name: Mapped[str]
    callback_url: Mapped[str | None]
    callback_api_key: Mapped[str]
    recurring_profile: Mapped[str]


class AccessToken(Table):
    """One of any number of tokens that are valid at the same time."""

    __tablename__ = "pivot_access_tokens"

    token: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    clock: Mapped[str | None]
    expires_at: Mapped[datetime]


class Remembered(Table):
    """The first answer to an `X-REQUEST-ID`."""

    __tablename__ = "pivot_remembered"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    """Method, path and a hash of the payload."""
    body: Mapped[str]
    clock: Mapped[str | None]
    until: Mapped[datetime]


class Customer(Table):
    """Known by e-mail address, from which the id follows."""

    __tablename__ = "pivot_customers"

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """As the merchant last sent them."""


class Card(Table):
    """A card somebody paid with. Its number is kept nowhere else, and leaves the sandbox never."""

    __tablename__ = "pivot_cards"

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str]
    month: Mapped[str]
    year: Mapped[str]
    holder: Mapped[str]


class StoredMethod(Table):
    """What a token stands for: a card or a wallet of a customer, and what the next debits on it do."""

    __tablename__ = "pivot_stored_methods"

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    customer_id: Mapped[str] = mapped_column(index=True)
    token: Mapped[str] = mapped_column(unique=True)
    type: Mapped[str]
    identity: Mapped[str]
    """The card's fingerprint, or the wallet's channel and phone number: one token each per customer."""
    channel: Mapped[str | None]
    card_id: Mapped[str | None]
    phone: Mapped[str | None]
    clock: Mapped[str | None]
    created: Mapped[datetime]
    status: Mapped[str] = mapped_column(default="ACTIVE")
    script: Mapped[str] = mapped_column(default="")
    position: Mapped[int] = mapped_column(default=0)


class PaymentSession(Table):
    """One payment, from its creation to its end."""

    __tablename__ = "pivot_sessions"
    __table_args__ = (Index("pivot_sessions_by_reference", "client_id", "reference"), NEVER_REUSED)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    id: Mapped[str] = mapped_column(unique=True)
    client_id: Mapped[str]
    reference: Mapped[str]
    value: Mapped[int]
    """In whole units of the currency."""
    currency: Mapped[str]
    mode: Mapped[str]
    auto_confirm: Mapped[bool]
    status: Mapped[str]
    method: Mapped[str | None]
    channel: Mapped[str | None]
    manual_capture: Mapped[bool]
    three_ds: Mapped[str]
    customer_id: Mapped[str]
    echo: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Members of the request that are only given back."""
    redirects: Mapped[dict[str, str]] = mapped_column(JSON)
    order: Mapped[dict[str, Any]] = mapped_column(JSON)
    keep: Mapped[bool]
    """Whether a token is to be made of the method; on the hosted page the customer may say no."""
    clock: Mapped[str | None]
    created: Mapped[datetime]
    updated: Mapped[datetime]
    expires_at: Mapped[datetime]
    recurring_id: Mapped[str | None]
    private_key: Mapped[str | None] = mapped_column(default=None)
    page: Mapped[str | None] = mapped_column(default=None)
    """Path and query of the customer's page."""
    page_token: Mapped[str | None] = mapped_column(default=None, unique=True)
    base_url: Mapped[str] = mapped_column(default="")
    script: Mapped[str] = mapped_column(default="")
    """For the token that comes of this payment."""
    cancelled: Mapped[datetime | None] = mapped_column(default=None)
    cancellation_reason: Mapped[str | None] = mapped_column(default=None)

    @property
    def open(self) -> bool:
        return self.status in OPEN


class Charge(Table):
    """The attempt to take a session's money. `failure` and `issuer` show once the status is final."""

    __tablename__ = "pivot_charges"
    __table_args__ = (NEVER_REUSED,)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    id: Mapped[str] = mapped_column(unique=True)
    session_id: Mapped[str] = mapped_column(unique=True)
    created: Mapped[datetime]
    updated: Mapped[datetime]
    status: Mapped[str] = mapped_column(default="WAITING_FOR_USER_ACTION")
    card_id: Mapped[str | None] = mapped_column(default=None)
    method_id: Mapped[str | None] = mapped_column(default=None)
    """The stored method it is made with."""
    phone: Mapped[str | None] = mapped_column(default=None)
    authentication: Mapped[str] = mapped_column(default="")
    """CHALLENGE, FRICTIONLESS or BYPASSED, once it is known."""
    failure: Mapped[str | None] = mapped_column(default=None)
    issuer: Mapped[str | None] = mapped_column(default=None)
    news: Mapped[str] = mapped_column(default="NORMAL")
    forged: Mapped[bool] = mapped_column(default=False)
    paid: Mapped[datetime | None] = mapped_column(default=None)
    authorized: Mapped[int | None] = mapped_column(default=None)
    captured: Mapped[int | None] = mapped_column(default=None)
    entry: Mapped[int | None] = mapped_column(default=None)
    """Number of its line in the ledger."""


class Capture(Table):
    """Money taken of an authorized charge."""

    __tablename__ = "pivot_captures"
    __table_args__ = (NEVER_REUSED,)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    id: Mapped[str] = mapped_column(unique=True)
    session_id: Mapped[str] = mapped_column(index=True)
    value: Mapped[int]
    release: Mapped[bool]
    status: Mapped[str]
    created: Mapped[datetime]


class Refund(Table):
    """Money given back, to the card or by bank transfer."""

    __tablename__ = "pivot_refunds"
    __table_args__ = (Index("pivot_refunds_by_reference", "client_id", "reference"), NEVER_REUSED)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    id: Mapped[str] = mapped_column(unique=True)
    client_id: Mapped[str]
    reference: Mapped[str]
    session_id: Mapped[str] = mapped_column(index=True)
    value: Mapped[int]
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    account: Mapped[str | None]
    """Where a bank transfer would go."""
    clock: Mapped[str | None]
    created: Mapped[datetime]
    updated: Mapped[datetime]
    status: Mapped[str] = mapped_column(default="PENDING")
    destination: Mapped[str | None] = mapped_column(default=None)
    entry: Mapped[int | None] = mapped_column(default=None)


class Contract(Table):
    """A `recurringId`, minted in the back door; it is usable without the customer once `method_id` is set."""

    __tablename__ = "pivot_contracts"

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    customer_id: Mapped[str | None] = mapped_column(default=None)
    method_id: Mapped[str | None] = mapped_column(default=None)


def new_id() -> str:
    """An id in Pivot's form."""
    return str(uuid.uuid4())


def web_token(claims: dict[str, object]) -> str:
    """A JSON Web Token (HS256) as Pivot hands them out. Nobody checks it by its signature: the sandbox looks it up."""
    head, body = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    signature = hmac.digest(secrets.token_bytes(32), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def session_of(session: Session, client_id: str, session_id: str) -> PaymentSession | None:
    """A client's payment session by Pivot's id."""
    own = select(PaymentSession).where(PaymentSession.client_id == client_id, PaymentSession.id == session_id)
    return session.scalar(own)


def charge_of(session: Session, payment: PaymentSession) -> Charge | None:
    """The charge of a session, if it came that far."""
    return session.scalar(select(Charge).where(Charge.session_id == payment.id))


def captures_of(session: Session, payment: PaymentSession) -> list[Capture]:
    """Oldest first."""
    return list(session.scalars(select(Capture).where(Capture.session_id == payment.id).order_by(Capture.number)))


def methods_of(session: Session, customer_id: str) -> list[StoredMethod]:
    """What a customer has stored, oldest first."""
    rows = select(StoredMethod).where(StoredMethod.customer_id == customer_id)
    return list(session.scalars(rows.order_by(text("rowid"))))
