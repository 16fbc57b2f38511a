"""Who pays a session: a customer with a card, a token or a wallet, or nobody present at all (§3.8-3.11, §4).

A debit is merchant-initiated when a token is charged without `cvc` and without 3-D Secure, if the account's recurring
profile allows that, or by a `recurringId` whose first authorization succeeded. Only these follow the token's script.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sqlalchemy.orm import Session

from gateways.pivot.encryption import Undecryptable, decrypt
from sandbox.clocks import Moment
from sandbox.pivot import cards, customers, scripts
from sandbox.pivot.answers import Answer, ApiError, Call, failed, success
from sandbox.pivot.cards import Outcome
from sandbox.pivot.charges import Charges
from sandbox.pivot.messages import ConfirmRequest, CreateRequest, PaymentMethod, PaymentMethodOptions
from sandbox.pivot.scripts import Step
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import Card, Charge, Contract, Customer, PaymentSession, StoredMethod, new_id
from sandbox.pivot.views import View, created_view
from sandbox.wire import Wire

TOKEN = "paymentMethod.card.token"  # noqa: S105 - the name of a field
ENCRYPTED = "paymentMethod.card.encryptedCard"
Numbers = list[int]
"""Numbers of the callbacks that something caused."""


@dataclass
class Payer:
    """What a session is charged with. `step` is the scripted behaviour, once it was looked up."""

    card: Card | None = None
    method: StoredMethod | None = None
    phone: str | None = None
    echo: View | None = None
    unattended: bool = False
    step: Step | None = None


@dataclass
class Payers:
    """Finds out who pays, and starts charges."""

    settings: PivotSettings
    charges: Charges

    def of_create(self, call: Call, request: CreateRequest, customer: Customer) -> Payer | None:
        """Who pays at once; None when that is decided later, on the page or by the confirmation."""
        contract = self._contract(call, request, customer)
        if contract and not request.initiate_first_authorization:
            method = call.session.get(StoredMethod, contract.method_id) if contract.method_id else None
            if method is None or method.status != "ACTIVE":
                raise ApiError("api_validation_error", "recurringId", "has no successful first authorization")
            return Payer(method=method, unattended=True)
        if request.mode == "REDIRECT" or not request.auto_confirm or request.payment_method is None:
            return None
        return self._of_method(call, request.payment_method, request.options, customer, None)

    def of_confirm(
        self, call: Call, request: ConfirmRequest, payment: PaymentSession, key: RSAPrivateKey | None
    ) -> Payer | None:
        """Who pays a session that is confirmed; None when the hosted page will ask."""
        if payment.mode == "REDIRECT":
            return None
        customer = call.session.get_one(Customer, payment.customer_id)
        return self._of_method(call, request.payment_method, request.options, customer, key)

    def _contract(self, call: Call, request: CreateRequest, customer: Customer) -> Contract | None:
        if request.recurring_id is None:
            return None
        if call.client.recurring_profile != "recurring_contract":
            raise ApiError("forbidden_access", "recurringId", "is not enabled for this account")
        contract = call.session.get(Contract, request.recurring_id)
        if contract is None or contract.client_id != call.client.client_id:
            raise ApiError("resource_missing", "recurringId", "does not exist")
        if contract.customer_id not in (None, customer.id):
            raise ApiError("resource_missing", "recurringId", "is of another customer")
        return contract

    def _of_method(
        self,
        call: Call,
        method: PaymentMethod,
        options: PaymentMethodOptions,
        customer: Customer,
        key: RSAPrivateKey | None,
    ) -> Payer:
        if method.type == "EWALLET":
            return self._of_wallet(call, method, options, customer)
        if method.card.token:
            return self._of_token(call, method, options, customer)
        if not method.card.encrypted_card:
            raise ApiError("api_validation_error", "paymentMethod.card", "must be filled")
        if key is None:
            raise ApiError("api_validation_error", ENCRYPTED, "is for sessions with an encryption key")
        card = _decrypted(key, method.card.encrypted_card)
        call.session.add(card)
        return Payer(card=card, echo={"encryptedCard": method.card.encrypted_card})

    def _of_token(self, call: Call, method: PaymentMethod, options: PaymentMethodOptions, customer: Customer) -> Payer:
        token, cvc = str(method.card.token), method.card.cvc
        stored = customers.method_of(call, token, customer, TOKEN)
        if stored.card_id is None:
            raise ApiError("api_validation_error", TOKEN, "is not of a card")
        if self.settings.requires_cvc and not cvc:
            raise ApiError("api_validation_error", "paymentMethod.card.cvc", "must be filled")
        card = call.session.get_one(Card, stored.card_id)
        return Payer(card, stored, None, {"token": token}, _skips_the_customer(call, options) and cvc is None)

    def _of_wallet(self, call: Call, method: PaymentMethod, options: PaymentMethodOptions, customer: Customer) -> Payer:
        wallet = method.ewallet
        if wallet.token and self.settings.wallet_tokens:
            stored = customers.method_of(call, wallet.token, customer, "paymentMethod.ewallet.token")
            return Payer(None, stored, stored.phone, None, _skips_the_customer(call, options))
        if wallet.token:
            raise ApiError("api_validation_error", "paymentMethod.ewallet.token", "is not supported")
        if options.ewallet.channel is None:
            raise ApiError("api_validation_error", "paymentMethodOptions.ewallet.channel", "must be filled")
        if options.ewallet.channel == "OVO" and wallet.account_identifier is None:
            raise ApiError("api_validation_error", "paymentMethod.ewallet.accountIdentifier", "must be filled")
        return Payer(phone=wallet.account_identifier)

    def refusal(self, payer: Payer) -> Answer | None:
        """Looks up what the script has for a merchant-initiated debit; the answer if there is to be no debit at all."""
        method = payer.method
        if method is None:
            return None
        payer.step = scripts.step(method.script, method.position)
        method.position += 1
        if payer.step is None:
            return None
        if payer.step.wire is Wire.HOLD:
            return Answer({}, wire=Wire.HOLD)
        if payer.step.revokes:
            method.status = "INACTIVE"
        if payer.step.error == "api_validation_error":
            return ApiError(payer.step.error, TOKEN, "is not active").answer
        return failed(payer.step.error) if payer.step.error else None

    def charge(self, call: Call, payment: PaymentSession, payer: Payer | None, key: str | None = None) -> Answer:
        """Opens the charge, and runs it where nobody needs to act; the session as answered."""
        charge = self.charges.open(call.session, call.moment, payment)
        echo = None
        if payer is not None:
            echo = payer.echo
            charge.card_id = payer.card.id if payer.card else None
            charge.phone = payer.phone
            if payer.method is not None:
                charge.card_id, charge.method_id = payer.method.card_id, payer.method.id
            if payer.unattended or (payment.three_ds == "NEVER" and payment.method == "CARD"):
                return self._run(call, payment, charge, payer, key)
            send_to_page(payment, charge)
        call.session.flush()
        return success(created_view(call.session, payment, key, echo))

    def _run(self, call: Call, payment: PaymentSession, charge: Charge, payer: Payer, key: str | None) -> Answer:
        """The debit without the customer: answered as processing, decided at once unless the script says later."""
        session, moment = call.session, call.moment
        step = payer.step or Step(self._unscripted(session, moment, payment, charge))
        charge.authentication = "BYPASSED"
        charge.news, charge.forged = step.news.name, step.wire is Wire.BAD_SIGNATURE
        self.charges.start(session, moment, payment, charge, step.outcome)
        view = created_view(session, payment, key, payer.echo)
        if step.settles_later:
            self.charges.settle_later(session, moment, payment)
        elif not step.outcome.review:
            self.charges.decide(session, moment, payment, charge)
        return success(view, Wire.ANSWER if charge.forged else step.wire)

    def _unscripted(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> Outcome:
        if charge.card_id is None:
            return cards.SUCCESS
        outcome = _of_card(session.get_one(Card, charge.card_id), moment)
        if outcome.foreign and not payment.order.get("billingInfo"):
            raise ApiError("api_validation_error", "orderInformation.billingInfo", "must be filled for a foreign card")
        return cards.without_authentication(outcome)

    def pay_by_card(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> Numbers:
        """The customer has passed the pages with the charge's card; what the card's number then brings about."""
        card = session.get_one(Card, charge.card_id)
        outcome = _of_card(card, moment)
        charge.authentication = (
            "FRICTIONLESS" if self.is_frictionless(session, moment, payment, charge) else "CHALLENGE"
        )
        if payment.three_ds == "NEVER":
            charge.authentication, outcome = "BYPASSED", cards.without_authentication(outcome)
        first = self.charges.start(session, moment, payment, charge, outcome)
        second = None if outcome.review else self.charges.decide(session, moment, payment, charge)
        return [number for number in (first, second) if number is not None]

    def is_frictionless(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> bool:
        """Whether the bank asks the customer nothing: the 3-D Secure page then finishes by itself."""
        if charge.card_id is None or payment.three_ds == "CHALLENGE":
            return False
        return _of_card(session.get_one(Card, charge.card_id), moment).frictionless

    def pay_by_wallet(
        self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge, status: str
    ) -> Numbers:
        """What the wallet says of the customer's PIN, as a charge status."""
        if status == "EXPIRED":
            told = [self.charges.expire(session, moment, payment)]
        else:
            outcome = Outcome("DECLINED_BY_CHANNEL", None) if status == "FAILED" else cards.SUCCESS
            waiting = charge.status == "WAITING_FOR_USER_ACTION"
            told = [self.charges.start(session, moment, payment, charge, outcome)] if waiting else []
            if status != "PROCESSING":
                told.append(self.charges.decide(session, moment, payment, charge))
        return [number for number in told if number is not None]


def _skips_the_customer(call: Call, options: PaymentMethodOptions) -> bool:
    profile = call.client.recurring_profile
    return options.card.three_ds_method == "NEVER" and profile != "customer_present"


def _of_card(card: Card, moment: Moment) -> Outcome:
    return cards.of_card(card.number, card.month, card.year, moment.now)


def send_to_page(payment: PaymentSession, charge: Charge) -> None:
    """Where the customer goes whom somebody else than the hosted page asks: the bank, or the wallet."""
    token = payment.page_token = secrets.token_urlsafe(24)
    if payment.method == "EWALLET":
        payment.page = f"/wallet/pay?{urlencode({'token': token})}"
    elif charge.method_id:
        query = urlencode({"cred": token, "merchant_id": payment.client_id})
        payment.page = f"/payment/creditcard/authenticate-token?{query}"
    else:
        query = urlencode(
            {
                "client_transaction_id": payment.reference,
                "acquirer_transaction_id": f"TRXCC{charge.id[:8]}",
                "session_id": token,
            }
        )
        payment.page = f"/payment/creditcard/threeds?{query}"


def new_card(number: str, month: str, year: str, holder: str) -> Card:
    """Raises ValueError for what is no card."""
    if not cards.is_card_number(number):
        raise ValueError("the card number is not valid")
    if not re.fullmatch(r"0[1-9]|1[0-2]", month) or not re.fullmatch(r"\d\d", year):
        raise ValueError("the expiry is not valid")
    return Card(new_id(), number, month, year, holder)


def _decrypted(key: RSAPrivateKey, encrypted_card: str) -> Card:
    """The card a merchant's customer has encrypted. Its CVC is looked at and forgotten. Raises ApiError."""
    try:
        given = decrypt(key, encrypted_card)["card"]
        card = new_card(given["number"], given["expiryMonth"], given["expiryYear"], given.get("nameOnCard") or "")
        if not re.fullmatch(r"\d{3,4}", given["cvc"]):
            raise ValueError("the cvc is not valid")
    except (Undecryptable, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ApiError("api_validation_error", ENCRYPTED, "cannot be read") from error
    return card
