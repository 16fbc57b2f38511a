"""Payment sessions: create, confirm, cancel, read, and the staging simulation (gateways/pay-and-save.md §2, §3, §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import select

from gateways.pivot.encryption import public_text
from sandbox.agenda import Agenda
from sandbox.pivot import customers, methods
from sandbox.pivot.answers import Answer, ApiError, Call, listed, success
from sandbox.pivot.charges import EXPIRE, Charges
from sandbox.pivot.messages import (
    CancelRequest,
    ConfirmRequest,
    CreateRequest,
    ListQuery,
    Nothing,
    SimulationRequest,
    WithOptions,
)
from sandbox.pivot.payers import Payers
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import Client, Customer, PaymentSession, StoredMethod, charge_of, new_id, session_of, web_token
from sandbox.pivot.views import charge_view, created_view, session_view

BEFORE_A_CHARGE = ("REQUIRE_CONFIRMATION", "REQUIRE_PAYMENT_METHOD")
"""In which a session can be confirmed or cancelled."""


@dataclass
class Sessions:
    """Operations under `/v2/payments`, but for the capture."""

    settings: PivotSettings
    agenda: Agenda
    charges: Charges
    payers: Payers

    def create(self, call: Call, request: CreateRequest) -> Answer:
        """Opens a session; with a token it may be charged at once (the table of §8)."""
        self._check(call, request)
        customer = self._customer(call, request)
        payer = self.payers.of_create(call, request, customer)
        if payer and payer.method:
            call = call.inherit(payer.method.clock)
        if payer and payer.unattended and (refusal := self.payers.refusal(payer)):
            return refusal
        payment = self._new(call, request, customer.id, payer.method if payer else None)
        key = self._await_confirmation(payment, request)
        if payment.status == "REQUIRE_ACTION":
            return self.payers.charge(call, payment, payer)
        return success(created_view(call.session, payment, key, None))

    def _check(self, call: Call, request: CreateRequest) -> None:
        reference = request.client_reference_id
        if self.settings.strict_references and not reference.isalnum():
            raise ApiError("api_validation_error", "clientReferenceId", "must be letters and digits")
        if self.settings.unique_references and self._of_reference(call, reference):
            raise ApiError("duplicate_error", "clientReferenceId", "was used before")
        methods.check(request.type, request)
        urls = request.redirect_url
        if request.mode == "REDIRECT" and not (
            urls and urls.success_return_url and urls.failure_return_url and urls.expiration_return_url
        ):
            raise ApiError("api_validation_error", "redirectUrl", "must be filled")
        if request.payment_method and request.payment_method.card.number:
            raise ApiError("forbidden_access", "paymentMethod.card.number", "needs a PCI certificate")

    def _customer(self, call: Call, request: CreateRequest) -> Customer:
        if request.customer_id:
            return customers.known(call, request.customer_id)
        if request.customer is None:
            raise ApiError("api_validation_error", "customer", "must be filled")
        return customers.upsert(call, request.customer)

    def _new(self, call: Call, request: CreateRequest, customer_id: str, stored: StoredMethod | None) -> PaymentSession:
        """The session; its status is that of a session about to be charged."""
        now = call.moment.now
        expires_at = request.expiry_at or now + self.settings.session_life
        if not now < expires_at <= now + methods.LONGEST[request.type or "CARD"]:
            raise ApiError("api_validation_error", "expiryAt", "must be ahead, and not too far")
        urls = request.redirect_url.model_dump(by_alias=True, exclude_none=True) if request.redirect_url else {}
        payment = PaymentSession(
            id=new_id(),
            client_id=call.client.client_id,
            reference=request.client_reference_id,
            value=request.amount.value,
            currency=request.amount.currency,
            mode=request.mode,
            auto_confirm=request.auto_confirm,
            status="REQUIRE_ACTION",
            method=request.type or (stored.type if stored else None),
            channel=request.options.ewallet.channel or (stored.channel if stored and not stored.card_id else None),
            manual_capture=False,
            three_ds="AUTOMATIC",
            customer_id=customer_id,
            echo=_echo(request, call.client),
            redirects=urls,
            order=request.order_information.model_dump(mode="json", by_alias=True, exclude_none=True),
            keep=bool(request.save_for_future_use),
            clock=call.moment.clock,
            created=now,
            updated=now,
            expires_at=expires_at,
            recurring_id=request.recurring_id,
            base_url=call.base_url,
        )
        _take_options(payment, request, call.client)
        call.session.add(payment)
        call.session.flush()
        self.agenda.plan(call.session, call.moment, EXPIRE, payment.id, expires_at - now)
        return payment

    def _await_confirmation(self, payment: PaymentSession, request: CreateRequest) -> str | None:
        """Sessions that are not charged yet; the key to encrypt a card with, where one is due."""
        if payment.mode == "REDIRECT":
            payment.page_token = web_token(
                {"uuid": payment.id, "iss": "backend-portal", "exp": int(payment.expires_at.timestamp())}
            )
            payment.page = f"/detail?token={payment.page_token}"
            if not (payment.auto_confirm and payment.method):
                payment.status = "REQUIRE_CONFIRMATION"
            return None
        if payment.auto_confirm:
            if payment.method is None:
                raise ApiError("api_validation_error", "paymentMethod", "must be filled")
            return None
        payment.status = "REQUIRE_CONFIRMATION" if payment.method else "REQUIRE_PAYMENT_METHOD"
        if payment.method != "CARD":
            return None
        key = generate_private_key(public_exponent=65537, key_size=2048)
        payment.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return public_text(key)

    def confirm(self, call: Call, request: ConfirmRequest) -> Answer:
        """`POST /v2/payments/{id}/confirm`."""
        payment = self._found(call, call.path["id"])
        call = call.inherit(payment.clock)
        if payment.status not in BEFORE_A_CHARGE:
            raise ApiError("invalid_state")
        if request.payment_method.type not in methods.LIMITS:
            raise ApiError("forbidden_access", "paymentMethod.type", "is not enabled for this account")
        payment.method = request.payment_method.type
        payment.channel = request.options.ewallet.channel or payment.channel
        _take_options(payment, request, call.client)
        if request.save_for_future_use is not None:
            payment.keep = request.save_for_future_use
            payment.echo = payment.echo | {"saveForFutureUse": request.save_for_future_use}
        if request.order_information:
            payment.order = request.order_information.model_dump(mode="json", by_alias=True, exclude_none=True)
        key = _key(payment)
        payer = self.payers.of_confirm(call, request, payment, key)
        if payer and payer.unattended and (refusal := self.payers.refusal(payer)):
            return refusal
        return self.payers.charge(call, payment, payer, public_text(key) if key else None)

    def cancel(self, call: Call, request: CancelRequest) -> Answer:
        """`POST /v2/payments/{id}/cancel`, only before there is a charge."""
        payment = self._found(call, call.path["id"])
        call = call.inherit(payment.clock)
        if payment.status not in BEFORE_A_CHARGE:
            raise ApiError("invalid_state")
        self.charges.cancel(call.session, call.moment, payment, request.cancellation_reason)
        return success(session_view(call.session, payment))

    def read(self, call: Call, _request: Nothing) -> Answer:
        """`GET /v2/payments/{id}`."""
        return success(session_view(call.session, self._found(call, call.path["id"])))

    def search(self, call: Call, query: ListQuery) -> Answer:
        """`GET /v2/payments`, newest first."""
        rows = self._of_reference(call, query.client_reference_id)
        return listed(rows, lambda payment: session_view(call.session, payment), query.page, query.per_page)

    def search_charges(self, call: Call, query: ListQuery) -> Answer:
        """`GET /v2/charges`, newest first."""
        found = [
            (payment, charge)
            for payment in self._of_reference(call, query.client_reference_id)
            if (charge := charge_of(call.session, payment))
        ]
        return listed(found, lambda row: charge_view(call.session, *row), query.page, query.per_page)

    def simulate(self, call: Call, request: SimulationRequest) -> Answer:
        """`POST /v2/payments/simulations`: what the customer does at the wallet, without the wallet. Not for cards."""
        payment = self._found(call, request.payment_session_id)
        call = call.inherit(payment.clock)
        charge = charge_of(call.session, payment)
        if payment.method != "EWALLET":
            raise ApiError("api_validation_error", "paymentSessionId", "is not of a QR, VA or e-wallet payment")
        if charge is None or not payment.open:
            raise ApiError("invalid_state")
        if request.charge_status == "EXPIRED":
            self.charges.expire(call.session, call.moment, payment)
        else:
            self.payers.pay_by_wallet(call.session, call.moment, payment, charge, "SUCCESS")
        return success({"updated": "true"})

    def _found(self, call: Call, session_id: str) -> PaymentSession:
        payment = session_of(call.session, call.client.client_id, session_id)
        if payment is None:
            raise ApiError("resource_missing")
        return payment

    def _of_reference(self, call: Call, reference: str | None) -> list[PaymentSession]:
        own = select(PaymentSession).where(PaymentSession.client_id == call.client.client_id)
        if reference is not None:
            own = own.where(PaymentSession.reference == reference)
        return list(call.session.scalars(own.order_by(PaymentSession.number.desc())))


def _take_options(payment: PaymentSession, request: WithOptions, client: Client) -> None:
    """Where the account may not skip 3-D Secure, `NEVER` leaves the choice to the provider."""
    options = request.options.card
    enabled = client.recurring_profile != "customer_present"
    payment.manual_capture = options.capture_method == "manual"
    payment.three_ds = "AUTOMATIC" if options.three_ds_method == "NEVER" and not enabled else options.three_ds_method


def _echo(request: CreateRequest, client: Client) -> dict[str, Any]:
    echo: dict[str, Any] = {
        "bypassStatusPage": request.bypass_status_page,
        "paymentType": request.payment_type,
        "statementDescriptor": request.statement_descriptor or client.name[:20],
        "saveForFutureUse": bool(request.save_for_future_use),
        "showSavedPayment": bool(request.show_saved_payment),
        "expirationMode": request.expiration_mode,
        "metadata": request.metadata,
    }
    if request.recurring_id:
        echo["recurringId"] = request.recurring_id
        echo["initiateFirstAuthorization"] = request.initiate_first_authorization
    return echo


def _key(payment: PaymentSession) -> RSAPrivateKey | None:
    if payment.private_key is None:
        return None
    key = load_pem_private_key(payment.private_key.encode(), password=None)
    assert isinstance(key, RSAPrivateKey)  # noqa: S101 - nothing else is ever stored there
    return key
