"""Pivot's objects as its API and its callbacks show them (gateways/pay-and-save.md §2.7, §2.9, §3)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from sandbox.pivot import cards
from sandbox.pivot.answers import amount, amount_text, nanoseconds, seconds
from sandbox.pivot.state import (
    Capture,
    Card,
    Charge,
    Customer,
    PaymentSession,
    Refund,
    StoredMethod,
    captures_of,
    charge_of,
    methods_of,
)

View = dict[str, Any]

REASONS = {
    "DECLINED_BY_CHANNEL": ("the issuer declined the payment", "Try another card or contact the bank."),
    "INVALID_ACCOUNT": ("the card or account is not valid", "Check the card number or use another card."),
    "SUSPECTED_FRAUD": ("the issuer suspects fraud or blocked the account", "Contact the bank."),
    "INSUFFICIENT_FUND": ("balance or limit is not sufficient", "Top up or use another card."),
    "CHANNEL_UNAVAILABLE": ("the issuer could not be reached", "Try again later."),
    "AUTHENTICATION_FAILED": ("the issuer rejected the authentication", "Try again and pass the bank's check."),
    "CANCELLED_BY_USER": ("the payment was stopped by the customer", "Start again to pay."),
    "BLOCKED_BY_FDS": ("the risk engine rejected the payment", "Use another card."),
    "CHARGE_EXPIRED": ("the time to pay ran out", "Start again to pay."),
}
"""What happened and what the customer can do; the words are ours, Pivot's are not fixed."""
FINAL = ("SUCCESS", "FAILED", "EXPIRED")


def session_view(session: Session, payment: PaymentSession, card_echo: View | None = None) -> View:
    """A payment session as it is read. `card_echo` is given by the call that sent the card."""
    charge = charge_of(session, payment)
    customer = session.get_one(Customer, payment.customer_id)
    method: View | None = {"type": payment.method} if payment.method else None
    if method and card_echo:
        method["card"] = {"token": "", "encryptedCard": "", **card_echo, "cvc": ""}
    view: View = {
        "id": payment.id,
        "clientReferenceId": payment.reference,
        "amount": amount(payment.currency, payment.value),
        "autoConfirm": payment.auto_confirm,
        "mode": payment.mode,
        **payment.echo,
        "redirectUrl": payment.redirects or None,
        "paymentMethod": method,
        "status": payment.status,
        "investigationStatus": None,
        "createdAt": nanoseconds(payment.created),
        "updatedAt": nanoseconds(payment.updated),
        "expiryAt": seconds(payment.expires_at),
        "chargeDetails": [charge_view(session, payment, charge)] if charge else None,
        "customerId": payment.customer_id,
        "customer": {**customer.details, "storePaymentMethods": None},
    }
    if payment.page and payment.open:
        view["paymentUrl"] = page_url(payment)
    if payment.cancelled:
        view |= {"cancelledAt": nanoseconds(payment.cancelled), "cancellationReason": payment.cancellation_reason}
    return view


def created_view(session: Session, payment: PaymentSession, encryption_key: str | None, card_echo: View | None) -> View:
    """A session as the calls that create and confirm it answer: with the key, and what the customer has stored."""
    view = session_view(session, payment, card_echo)
    customer = dict(view["customer"])
    del customer["storePaymentMethods"]
    if stored := methods_of(session, payment.customer_id):
        customer["storedPaymentMethods"] = [method_view(session, method) for method in stored]
    return view | {"customer": customer} | ({"encryptionKey": encryption_key} if encryption_key else {})


def page_url(payment: PaymentSession) -> str:
    """Where the customer goes; opaque to merchants."""
    return f"{payment.base_url}{payment.page}"


def charge_view(session: Session, payment: PaymentSession, charge: Charge) -> View:
    """A charge; its card is blank until the customer has come with it."""
    final = charge.status in FINAL
    taken = charge.captured
    view: View = {
        "id": charge.id,
        "paymentSessionId": payment.id,
        "paymentSessionClientReferenceId": payment.reference,
        "amount": amount(payment.currency, payment.value),
        "statementDescriptor": payment.echo["statementDescriptor"],
        "status": charge.status,
        "authorizedAmount": None if charge.authorized is None else amount(payment.currency, charge.authorized),
        "capturedAmount": None if taken is None else amount(payment.currency, taken),
        "isCaptured": taken is not None,
        "createdAt": nanoseconds(charge.created),
        "updatedAt": nanoseconds(charge.updated),
        "paidAt": seconds(charge.paid),
        "captureHistories": [_history(payment, capture) for capture in captures_of(session, payment)] or None,
    }
    if final or charge.authorized is not None:
        view["fdsRiskAssessment"] = _risk(charge)
    if payment.method == "EWALLET":
        view["ewallet"] = {
            "channel": payment.channel,
            "accountInformations": {"mobileNumber": charge.phone or "", "name": ""},
        }
    elif charge.card_id:
        view["card"] = _card(payment, charge, session.get_one(Card, charge.card_id))
    if charge.status in ("FAILED", "EXPIRED") and charge.failure:
        reason, advice = REASONS[charge.failure]
        view |= {
            "failureCode": charge.failure,
            "failureMessage": f"{payment.method} {reason}",
            "recommendation": advice,
        }
    return view


def _risk(charge: Charge) -> View:
    rejected = charge.failure == "BLOCKED_BY_FDS"
    return {
        "score": "95" if rejected else "0",
        "level": "high" if rejected else "very low",
        "recommendation": "Reject" if rejected else "Approve",
        "status": "REJECTED" if rejected else "PASSED",
        "evaluatedAt": nanoseconds(charge.updated),
    }


def _card(payment: PaymentSession, charge: Charge, card: Card) -> View:
    if charge.method_id and charge.status == "WAITING_FOR_USER_ACTION":
        blank = dict.fromkeys(("type", "issuingBank", "brand", "country"), "")
        names = ("first6", "first8", "last4", "expMonth", "expYear")
        empty = {"authenticationResult": None, "authorizationResult": None}
        return {**dict.fromkeys(names, ""), "binInformations": blank, **empty}
    decided = charge.status in FINAL or charge.authorized is not None
    return {
        **_face(card),
        **({"fingerprint": cards.fingerprint(card.number)} if decided else {}),
        "binInformations": {
            "type": "DEBIT",
            "issuingBank": "UNKNOWN",
            "brand": cards.brand(card.number),
            "country": "US" if cards.SIMULATION.get(card.number, cards.SUCCESS).foreign else "ID",
        },
        "authenticationResult": _authentication(charge, card, decided),
        "authorizationResult": _authorization(payment, charge) if decided and charge.issuer else None,
    }


def _face(card: Card) -> View:
    number = card.number
    return {
        "first6": number[:6],
        "first8": number[:8],
        "last4": number[-4:],
        "expMonth": card.month,
        "expYear": card.year,
    }


def _authentication(charge: Charge, card: Card, decided: bool) -> View:
    """ECI 05 stands for an authenticated Visa or JCB payment, 02 for Mastercard; 07 and 00 for none."""
    if not decided:
        return {"threeDsVersion": "3DS2", "threeDsResult": "", "threeDsMethod": "", "eciCode": ""}
    mastercard = cards.brand(card.number) == "MASTERCARD"
    unsafe = "00" if mastercard else "07"
    result, eci = "AUTHENTICATION_SUCCESSFUL", "02" if mastercard else "05"
    if charge.failure in ("AUTHENTICATION_FAILED", "CANCELLED_BY_USER", "CHARGE_EXPIRED"):
        result, eci = "FAILED", unsafe
    elif charge.authentication == "BYPASSED":
        result, eci = "NOT_AVAILABLE", unsafe
    return {
        "threeDsVersion": "2.2.0",
        "threeDsResult": result,
        "threeDsMethod": charge.authentication,
        "eciCode": eci,
    }


def _authorization(payment: PaymentSession, charge: Charge) -> View:
    billing = payment.order.get("billingInfo") or {}
    return {
        "acquirerReferenceNumber": str(100200300 + charge.number),
        "retrievalReferenceNumber": f"TRXCC{charge.id[:8]}",
        "stan": f"{charge.number % 1_000_000:06d}",
        "avsResult": cards.AVS_BY_STREET.get(str(billing.get("addressLine1", "")).strip().lower(), ""),
        "cvvResult": "",
        "authorizedAmount": amount(payment.currency, charge.authorized or 0),
        "issuerAuthorizationCode": charge.issuer,
    }


def _history(payment: PaymentSession, capture: Capture) -> View:
    return {
        "captureId": capture.id,
        "currency": payment.currency,
        "capturedAmount": capture.value,
        "status": capture.status,
        "createdAt": nanoseconds(capture.created),
    }


def capture_view(payment: PaymentSession, capture: Capture, status: str) -> View:
    """A capture, in the state it is told in."""
    return {
        "id": capture.id,
        "paymentSessionId": payment.id,
        "paymentSessionClientReferenceId": payment.reference,
        "releaseRemainingAmount": capture.release,
        "amount": amount(payment.currency, capture.value),
        "status": status,
        "createdAt": nanoseconds(capture.created),
        "updatedAt": nanoseconds(capture.created),
    }


def refund_view(payment: PaymentSession, charge: Charge, refund: Refund) -> View:
    """A refund; its amounts are strings with two decimals."""
    view: View = {
        "id": refund.id,
        "clientReferenceId": refund.reference,
        "paymentSessionId": payment.id,
        "chargeId": charge.id,
        "capturedAmount": amount_text(payment.currency, charge.captured or 0),
        "amount": amount_text(payment.currency, refund.value),
        "status": refund.status,
        **refund.request,
        "createdAt": nanoseconds(refund.created),
        "updatedAt": nanoseconds(refund.updated),
    }
    return view | ({"destinationType": refund.destination} if refund.destination else {})


def customer_view(session: Session, customer: Customer) -> View:
    """A customer, which carries no id of its own."""
    stored = [method_view(session, method) for method in methods_of(session, customer.id)]
    return {"refundPreference": {"method": "AUTO"}, **customer.details, "storedPaymentMethods": stored}


def method_view(session: Session, method: StoredMethod) -> View:
    """A stored method: cards in upper case, wallets in lower."""
    view: View = {
        "token": method.token,
        "paymentMethod": method.type if method.card_id else method.type.lower(),
        "paymentChannel": method.channel if method.card_id else (method.channel or "").lower(),
        "status": method.status,
        "createdAt": nanoseconds(method.created),
    }
    if method.card_id:
        card = session.get_one(Card, method.card_id)
        first, _, last = card.holder.partition(" ")
        view["card"] = {
            "fingerprint": method.identity,
            "network": method.channel,
            **_face(card),
            "cardHolderFirstName": first,
            "cardHolderLastName": last,
        }
    return view
