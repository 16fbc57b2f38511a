"""Pivot's pages: the hosted payment page, the bank's 3-D Secure page, the check of a saved card, the wallet.

A person uses them in a browser, a program posts the same form (design §8): `decision` approve, reject or cancel, and
optionally `script`, `card`, `expiry` (MM/YY), `saved` (id of a stored method), `save` (on or off), `phone`, `channel`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from sandbox import clocks
from sandbox.clocks import Moment
from sandbox.database import Database
from sandbox.notifier import Notifier
from sandbox.pages import HEADERS, message, page
from sandbox.pivot import cards, scripts
from sandbox.pivot.charges import Charges
from sandbox.pivot.payers import Numbers, Payers, new_card, send_to_page
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import Card, Charge, Client, PaymentSession, StoredMethod, charge_of, methods_of

TITLES = {
    "PAID": "Payment successful",
    "PROCESSING": "Payment in process",
    "CANCELLED": "Payment not made",
    "EXPIRED": "Time is up",
}
CHALLENGES = {
    "/payment/creditcard/threeds": ("Bank", "Is it you who pays?"),
    "/payment/creditcard/authenticate-token": ("Bank", "Pay with your saved card?"),
    "/wallet/pay": ("Wallet", "Pay with your wallet?"),
}


@dataclass
class Closed(Exception):
    """A link on which nothing can be decided any more: where it leads instead, or the page that says so."""

    title: str = ""
    text: str = ""
    status: int = 200
    location: str = ""

    @property
    def answer(self) -> Response:
        if self.location:
            return RedirectResponse(self.location, 303, HEADERS)
        return message(self.title, self.text, self.status)


@dataclass
class Entered:
    """What the customer put into the form."""

    decision: str
    script: str
    card: str
    expiry: str
    saved: str
    save: bool
    phone: str
    channel: str
    bank: bool
    """The bank asks on a page of its own, as browsers see it; else the hosted page's one form says it all."""


@dataclass
class Pages:
    """Routes of the customer's pages."""

    database: Database
    charges: Charges
    payers: Payers
    notifier: Notifier
    settings: PivotSettings

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        for path in ("/detail", *CHALLENGES):
            router.add_api_route(path, self.show, methods=["GET"])
            router.add_api_route(path, self.decide, methods=["POST"])
        router.add_api_route("/status", self.status, methods=["GET"])
        return router

    async def show(self, token: str = "", session_id: str = "", cred: str = "") -> Response:
        """The page of a session's paymentUrl. Where the bank asks nothing, it finishes by itself."""
        try:
            with self.database.begin() as session:
                payment, moment = self._open(session, token or session_id or cred)
                charge = charge_of(session, payment)
                path = (payment.page or "").partition("?")[0]
                told: Numbers = []
                if path != "/detail" and charge and self.payers.is_frictionless(session, moment, payment, charge):
                    told = self.payers.pay_by_card(session, moment, payment, charge)
                elif path == "/detail":
                    return self._hosted(session, payment)
                else:
                    return self._challenge(session, payment, charge, path)
        except Closed as closed:
            return closed.answer
        await self._acknowledged(told)
        return self._onward(payment)

    async def decide(
        self,
        token: str = "",
        session_id: str = "",
        cred: str = "",
        decision: Annotated[str, Form()] = "",
        script: Annotated[str, Form()] = "",
        card: Annotated[str, Form()] = "",
        expiry: Annotated[str, Form()] = "",
        saved: Annotated[str, Form()] = "",
        save: Annotated[list[str] | None, Form()] = None,
        phone: Annotated[str, Form()] = "",
        channel: Annotated[str, Form()] = "",
        bank: Annotated[str, Form()] = "",
    ) -> Response:
        """The customer's decision. Redirects once the callbacks are acknowledged, or have had time to be."""
        if decision not in ("approve", "reject", "cancel"):
            return message("No decision", "Please go back and choose.", 422)
        try:
            words = ",".join(scripts.parse(script))
            keep = save is None or "on" in save
            entered = Entered(decision, words, card, expiry, saved, keep, phone, channel, bank == "ask")
            with self.database.begin() as session:
                payment, moment = self._open(session, token or session_id or cred)
                told = self._apply(session, moment, payment, entered)
        except Closed as closed:
            return closed.answer
        except ValueError as error:
            return message("This cannot be used", str(error), 422)
        await self._acknowledged(told)
        return self._onward(payment)

    async def status(self, token: str = "") -> Response:
        """The provider's own page about the result, unless the merchant bypasses it."""
        with self.database.begin() as session:
            payment = session.scalar(select(PaymentSession).where(PaymentSession.page_token == token))
            if payment is None:
                return message("Unknown link", "This link does not belong to any payment.", 404)
            merchant = session.get_one(Client, payment.client_id).name
        return page(
            "pivot_status.html", title=TITLES.get(payment.status, "Payment"), merchant=merchant, back=_back(payment)
        )

    def _open(self, session: Session, token: str) -> tuple[PaymentSession, Moment]:
        """The session of a link, and its time. Raises Closed when there is nothing left to decide."""
        payment = session.scalar(select(PaymentSession).where(PaymentSession.page_token == token)) if token else None
        if payment is None:
            raise Closed("Unknown link", "This link does not belong to any payment. Start again at the merchant.", 404)
        moment = clocks.read(session, payment.clock)
        hosted = (payment.page or "").startswith("/detail")
        undecided = payment.status == "REQUIRE_ACTION" or (hosted and payment.status == "REQUIRE_CONFIRMATION")
        expired = payment.status == "EXPIRED" or (undecided and moment.now >= payment.expires_at)
        if expired and (back := payment.redirects.get("expirationReturnUrl")):
            raise Closed(location=back)
        if expired:
            raise Closed("Link expired", "This payment is no longer open. Start again at the merchant.", 410)
        if not undecided:
            raise Closed("Already answered", "This link was used before. Each link works once.", 409)
        return payment, moment

    def _apply(self, session: Session, moment: Moment, payment: PaymentSession, entered: Entered) -> Numbers:
        """Raises ValueError for input that cannot be used."""
        hosted = (payment.page or "").startswith("/detail")
        charge = charge_of(session, payment)
        if entered.decision != "approve":
            told = self._stop(session, moment, payment, charge, hosted or entered.decision == "cancel")
            return [] if told is None else [told]
        payment.script = entered.script or payment.script
        payment.keep = payment.keep and (entered.save or not hosted)
        if hosted:
            payment.method = payment.method or "CARD"
            charge = charge or self.charges.open(session, moment, payment)
        if charge is None:
            raise LookupError(f"session {payment.id} shows a page without a charge")
        if payment.method == "EWALLET":
            payment.channel = payment.channel or _channel(entered.channel)
            charge.phone = charge.phone or entered.phone or cards.DEFAULT_PHONE
            status = cards.WALLET_OUTCOMES.get(charge.phone, "SUCCESS")
            return self.payers.pay_by_wallet(session, moment, payment, charge, status)
        if hosted:
            self._enter_card(session, payment, charge, entered)
            if entered.bank and not self.payers.is_frictionless(session, moment, payment, charge):
                send_to_page(payment, charge)
                payment.status = "REQUIRE_ACTION"
                return []
        elif charge.method_id and entered.script:
            stored = session.get_one(StoredMethod, charge.method_id)
            stored.script, stored.position = entered.script, 0
        return self.payers.pay_by_card(session, moment, payment, charge)

    def _stop(
        self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge | None, by_user: bool
    ) -> int | None:
        """The customer leaves, or does not pass the bank's check."""
        if charge is None:
            return self.charges.cancel(session, moment, payment, "REQUESTED_BY_CUSTOMER")
        failure = "CANCELLED_BY_USER" if by_user or payment.method == "EWALLET" else "AUTHENTICATION_FAILED"
        return self.charges.fail(session, moment, payment, charge, failure)

    def _enter_card(self, session: Session, payment: PaymentSession, charge: Charge, entered: Entered) -> None:
        """A new card, or one the customer has stored."""
        if entered.saved:
            stored = session.get(StoredMethod, entered.saved)
            if stored is None or stored.customer_id != payment.customer_id or stored.status != "ACTIVE":
                raise ValueError("no such saved card")
            charge.method_id, charge.card_id = stored.id, stored.card_id
            if entered.script:
                stored.script, stored.position = entered.script, 0
            return
        month, _, year = (entered.expiry or "01/39").partition("/")
        number = "".join(entered.card.split()) or cards.DEFAULT_CARD
        card = new_card(number, month.strip(), year.strip(), "")
        session.add(card)
        session.flush()
        charge.card_id = card.id

    async def _acknowledged(self, told: Numbers) -> None:
        await asyncio.gather(
            *(self.notifier.first_attempt(number, self.settings.acknowledge_within) for number in told)
        )

    def _onward(self, payment: PaymentSession) -> Response:
        """To the bank where it asks, else to the merchant; from the hosted page by way of the status page, unless that
        is bypassed.
        """
        if payment.status == "REQUIRE_ACTION" and payment.page:
            return RedirectResponse(payment.page, 303, HEADERS)
        shows_status = payment.mode == "REDIRECT" and not payment.echo["bypassStatusPage"]
        status_page = f"/status?{urlencode({'token': payment.page_token})}"
        return RedirectResponse(status_page if shows_status else _back(payment) or status_page, 303, HEADERS)

    def _hosted(self, session: Session, payment: PaymentSession) -> Response:
        stored = []
        if payment.echo["showSavedPayment"]:
            stored = [_choice(session, method) for method in methods_of(session, payment.customer_id) if method.card_id]
        return page(
            "pivot_pay.html",
            merchant=session.get_one(Client, payment.client_id).name,
            amount=_amount(payment),
            wallets=_wallets(payment) if payment.method == "EWALLET" else [],
            stored=[choice for choice in stored if choice],
            card=cards.DEFAULT_CARD,
            phone=cards.DEFAULT_PHONE,
            offers_saving=payment.keep,
            vocabulary=list(scripts.VOCABULARY),
        )

    def _challenge(self, session: Session, payment: PaymentSession, charge: Charge | None, path: str) -> Response:
        issuer, title = CHALLENGES[path]
        card = session.get(Card, charge.card_id) if charge and charge.card_id else None
        return page(
            "pivot_challenge.html",
            issuer=payment.channel or issuer,
            title=title,
            merchant=session.get_one(Client, payment.client_id).name,
            amount=_amount(payment),
            masked=card.number[-4:] if card else "",
            phone="" if card else (charge and charge.phone) or cards.DEFAULT_PHONE,
            vocabulary=list(scripts.VOCABULARY),
        )


def _choice(session: Session, method: StoredMethod) -> dict[str, str] | None:
    if method.status != "ACTIVE":
        return None
    card = session.get_one(Card, method.card_id)
    return {"id": method.id, "label": f"{method.channel} ending in {card.number[-4:]}, {card.month}/{card.year}"}


def _channel(entered: str) -> str:
    channel = entered.upper() or "DANA"
    if channel not in ("DANA", "SHOPEEPAY", "OVO"):
        raise ValueError("no such wallet")
    return channel


def _wallets(payment: PaymentSession) -> list[str]:
    return [payment.channel] if payment.channel else ["DANA", "SHOPEEPAY", "OVO"]


def _amount(payment: PaymentSession) -> str:
    return f"{payment.currency} {payment.value:,}"


def _back(payment: PaymentSession) -> str:
    """The merchant's address for what became of the payment; nothing is added to it (§7 no. 4)."""
    name = {"PAID": "success", "PROCESSING": "success", "EXPIRED": "expiration"}.get(payment.status, "failure")
    return payment.redirects.get(f"{name}ReturnUrl", "")
