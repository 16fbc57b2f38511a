"""What is asked of Pivot: pure. Source: gateways/pay-and-save.md §2, §3, §4.

Canonical spellings only; amounts are whole rupiah, numbers in payments and strings in refunds. Everything that a repeat
must say again is derived from the request, so that the same `X-REQUEST-ID` always goes with the same bytes.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from agreements import catalog
from agreements.money import Money, exponent
from agreements.terms import Terms
from gateways.pivot import keys, references
from gateways.port import Account, AuthorizationRequest, ChargeRequest, FirstPayment, Payer, RefundRequest

CARD = "CARD"
_CURRENCY = "IDR"
_REASONS = frozenset({"SUSPECT_FRAUDULENT", "DUPLICATE", "REQUESTED_BY_CUSTOMER", "CANCELLATION", "OTHERS"})


class NotSupported(Exception):
    """An amount Pivot cannot be asked for."""


def reference(account: Account, request_id: str) -> str:
    """The `clientReferenceId` of a request."""
    return request_id if keys.plain_references(account) else references.encoded(request_id)


def page(account: Account, request: AuthorizationRequest, payment: FirstPayment, payer: Payer) -> dict[str, Any]:
    """The session of a payment on Pivot's page that saves what it is paid with (§2.6 a, b). Raises NotSupported.

    3-D Secure is forced: the bank shall have seen the customer once before debits without them.
    """
    amount = payment.amount or verification(request.payment_method)
    return {
        **_session(account, payment.request_id, amount, payment.description),
        "mode": "REDIRECT",
        "autoConfirm": True,
        "saveForFutureUse": True,
        "bypassStatusPage": True,
        **_method(request.payment_method, "CHALLENGE"),
        "redirectUrl": _returns(request.return_url, request.state),
        **_customer(payer),
        **_descriptor(request.terms),
        "metadata": {"invoice": payment.order_id, "state": request.state},
    }


def card_page(account: Account, request: AuthorizationRequest, payment: FirstPayment, payer: Payer) -> dict[str, Any]:
    """The same for a page of ours (§2.6 c): it waits for the card that `confirmation` brings. Raises NotSupported."""
    body = page(account, request, payment, payer)
    for of_pivots_page in ("bypassStatusPage", "showSavedPayment"):
        body.pop(of_pivots_page, None)
    return body | {"mode": "API", "autoConfirm": False}


def confirmation(encrypted_card: str) -> dict[str, Any]:
    """The card of a session that waits for one (§3.1); that it is saved was said when the session was created."""
    method = _method(CARD, "CHALLENGE")
    return method | {"paymentMethod": {"type": CARD, "card": {"encryptedCard": encrypted_card}}}


def debit(account: Account, request: ChargeRequest) -> dict[str, Any]:
    """The session that debits a saved token without the customer (§4 `token_never`). Raises NotSupported.

    How a wallet's token goes back is not documented (§3.11): it is sent as the note proposes, with the only words there
    are for saying that the customer is not there.
    """
    method = _method(request.payment_method, "NEVER")
    kind = "card" if request.payment_method == CARD else "ewallet"
    unattended = _method(CARD, "NEVER")["paymentMethodOptions"]
    body = {
        **_session(account, request.request_id, request.amount, request.description),
        "mode": "API",
        "autoConfirm": True,
        "paymentMethod": {**method["paymentMethod"], kind: {"token": request.token}},
        "paymentMethodOptions": {**unattended, **method["paymentMethodOptions"]},
        **_descriptor(request.terms),
        "metadata": {"invoice": request.order_id},
    }
    if request.token_reference:
        body["customerId"] = request.token_reference
    return body


def refund(account: Account, request: RefundRequest) -> dict[str, Any]:
    """The body of a refund (§3.5). Raises NotSupported."""
    reason = request.reason.strip().upper()
    body: dict[str, Any] = {
        "clientReferenceId": reference(account, request.request_id),
        "paymentSessionId": request.payment_id,
        "isFullAmount": False,
        "amount": {"value": str(_whole(request.amount)), "currency": request.amount.currency},
        "reason": reason if reason in _REASONS else "OTHERS",
        "method": "AUTO",
    }
    if request.reason:
        body["description"] = request.reason[:50]
    return body


def verification(payment_method: str) -> Money:
    """What a page without a payment takes, to be given back at once: Pivot cannot verify a card for nothing."""
    entry = catalog.method("pivot", payment_method)
    if entry is None or entry.verification is None:
        raise NotSupported(payment_method)
    return Money(currency=entry.currency, value=entry.verification)


def _session(account: Account, request_id: str, amount: Money, description: str) -> dict[str, Any]:
    wire = {"value": _whole(amount), "currency": amount.currency}
    return {
        "clientReferenceId": reference(account, request_id),
        "amount": wire,
        "paymentType": "SINGLE",
        "orderInformation": {
            "productDetails": [{"type": "SERVICE", "name": description[:255], "quantity": 1, "price": wire}]
        },
        # The session's own end counts (15 minutes after its beginning), so that nothing settles later.
        "expirationMode": "STRICT",
    }


def _method(payment_method: str, three_ds: str) -> dict[str, Any]:
    if payment_method == CARD:
        options: dict[str, Any] = {"card": {"captureMethod": "automatic", "threeDsMethod": three_ds}}
        return {"paymentMethod": {"type": CARD}, "paymentMethodOptions": options}
    options = {"ewallet": {"channel": payment_method}}
    return {"paymentMethod": {"type": "EWALLET"}, "paymentMethodOptions": options}


def _returns(url: str, state: str) -> dict[str, str]:
    """Pivot adds nothing to these addresses that it documents: what we need when the customer is back, we add."""
    joint = "&" if "?" in url else "?"
    outcomes = {"successReturnUrl": "success", "failureReturnUrl": "failure", "expirationReturnUrl": "expired"}
    return {name: f"{url}{joint}{urlencode({'pivot': outcome, 'state': state})}" for name, outcome in outcomes.items()}


def _customer(payer: Payer) -> dict[str, Any]:
    """A customer Pivot knows gets their saved cards shown; one it does not know is made by their e-mail address."""
    if payer.reference:
        return {"customerId": payer.reference, "showSavedPayment": True}
    given, _, surname = (payer.name or "").strip().partition(" ")
    customer: dict[str, Any] = {"email": payer.email}
    customer |= {name: value for name, value in (("givenName", given), ("surname", surname.strip())) if value}
    phone = (payer.phone or "").replace(" ", "").replace("-", "")
    if phone.startswith("+628") and phone[1:].isdigit():
        customer["phoneNumber"] = {"countryCode": "+62", "number": phone[3:]}
    return {"customer": customer}


def _descriptor(terms: Terms | None) -> dict[str, str]:
    name = terms.seller.short_name if terms and terms.seller else None
    return {"statementDescriptor": name} if name and len(name) <= 20 else {}


def _whole(money: Money) -> int:
    whole, rest = divmod(money.value, int(10 ** exponent(money.currency)))
    if money.currency != _CURRENCY or rest:
        raise NotSupported(str(money))
    return whole
