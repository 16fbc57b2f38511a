"""Ottu's checkout page, on which the customer pays. A program may post the same form (design §8)."""

from __future__ import annotations

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
from sandbox.notifier import Notification, Notifier
from sandbox.ottu import scripts
from sandbox.ottu.checkout import Checkout, Choice, Outcome, Unusable, back
from sandbox.ottu.formats import major
from sandbox.ottu.mids import MIDS
from sandbox.ottu.payments import Payments
from sandbox.ottu.settings import OttuSettings
from sandbox.ottu.state import PAYABLE, Challenge, Merchant, Transaction
from sandbox.ottu.testcards import TEST_CARDS
from sandbox.pages import HEADERS, message, page

START = "/b/checkout/redirect/start/"
SUMMARY = "/b/checkout/redirect/summary/"
CHALLENGE = "/b/checkout/redirect/3ds/"
SAID = {
    "paid": ("Payment received", "Thank you. You can close this page."),
    "authorized": ("Payment authorized", "Thank you. You can close this page."),
    "attempted": ("Payment not completed", "Nothing was taken. You can try again with the link you were sent."),
    "pending": ("Payment under way", "Your bank has not answered yet."),
    "failed": ("Payment failed", "Nothing was taken. Ask the merchant for a new link."),
    "canceled": ("Payment canceled", "The merchant has withdrawn this request."),
    "expired": ("Link expired", "This request is no longer open. Start again at the merchant."),
    "created": ("Payment open", "Nothing was paid yet."),
}


@dataclass
class Closed(Exception):
    """A link on which nothing can be paid any more, and the page that says so."""

    title: str
    text: str
    status: int


@dataclass
class Pages:
    """Routes of the customer's pages."""

    database: Database
    payments: Payments
    checkout: Checkout
    notifier: Notifier
    settings: OttuSettings

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route(START, self.show, methods=["GET"])
        router.add_api_route(START, self.decide, methods=["POST"])
        router.add_api_route(CHALLENGE, self.ask, methods=["GET"])
        router.add_api_route(CHALLENGE, self.answered, methods=["POST"])
        router.add_api_route(SUMMARY, self.summary, methods=["GET"])
        return router

    async def show(self, session_id: str = "", pg_code: str = "") -> Response:
        """The page of a session's checkout_url."""
        self._lapse(session_id)
        try:
            with self.database.begin() as session:
                txn, moment = self._open(session, session_id)
                return self._checkout_page(session, txn, moment, pg_code)
        except Closed as closed:
            return message(closed.title, closed.text, closed.status)

    def _checkout_page(self, session: Session, txn: Transaction, moment: Moment, pg_code: str) -> Response:
        given = txn.given
        return page(
            "ottu_checkout.html",
            merchant=session.get_one(Merchant, txn.merchant_id).name,
            amount=major(txn.amount, txn.currency),
            currency=txn.currency,
            saves=given["payment_type"] == "save_card",
            agreed=given["payment_type"] == "auto_debit",
            accounts=[MIDS[code] for code in given["pg_codes"]],
            chosen=pg_code,
            saved=[card for card in self.checkout.saved_cards(session, txn) if card.status(moment.now) == "active"],
            cards=list(TEST_CARDS.values()),
            vocabulary=[*scripts.VOCABULARY, *scripts.OTTUS_OWN],
        )

    async def decide(
        self,
        session_id: str = "",
        decision: Annotated[str, Form()] = "",
        script: Annotated[str, Form()] = "",
        card: Annotated[str, Form()] = "",
        expiry: Annotated[str, Form()] = "",
        pg_code: Annotated[str, Form()] = "",
    ) -> Response:
        """The customer pays or gives up. Redirects once the merchant was told, or has had its time to answer."""
        self._lapse(session_id)
        try:
            choice = Choice(card, expiry, pg_code, ",".join(scripts.parse(script)))
            with self.database.begin() as session:
                txn, moment = self._open(session, session_id)
                if decision == "reject":
                    outcome: Outcome | Challenge = self.checkout.give_up(session, moment, txn, pg_code)
                else:
                    _approved(decision)
                    outcome = self.checkout.pay(session, moment, txn, choice)
        except (Unusable, scripts.BadScript) as error:
            return message("This cannot be paid with", str(error), 422)
        except Closed as closed:
            return message(closed.title, closed.text, closed.status)
        if isinstance(outcome, Challenge):
            return RedirectResponse(f"{CHALLENGE}?{urlencode({'id': outcome.id})}", 303, HEADERS)
        return await self._onwards(txn, outcome)

    async def ask(self, id: str = "") -> Response:  # noqa: A002 - the name in the address
        """The bank's 3-D Secure page."""
        try:
            with self.database.begin() as session:
                txn, _, _ = self._challenged(session, id)
                merchant = session.get_one(Merchant, txn.merchant_id).name
        except Closed as closed:
            return message(closed.title, closed.text, closed.status)
        amount = f"{txn.currency} {major(txn.amount, txn.currency)}"
        return page("ottu_challenge.html", merchant=merchant, amount=amount)

    async def answered(self, id: str = "", decision: Annotated[str, Form()] = "") -> Response:  # noqa: A002
        """The customer confirms or denies the payment to the bank."""
        try:
            with self.database.begin() as session:
                txn, moment, challenge = self._challenged(session, id)
                approved = decision != "reject" and _approved(decision)
                outcome = self.checkout.answer(session, moment, txn, challenge, approved=approved)
        except Unusable as error:
            return message("This cannot be paid with", str(error), 422)
        except Closed as closed:
            return message(closed.title, closed.text, closed.status)
        return await self._onwards(txn, outcome)

    async def summary(self, session_id: str = "") -> Response:
        """Where a customer stays whom Ottu does not send back."""
        with self.database.begin() as session:
            txn = session.scalar(select(Transaction).where(Transaction.session_id == session_id))
        if txn is None:
            return message("Unknown link", "This link does not belong to any payment.", 404)
        title, text = SAID.get(txn.state, SAID["created"])
        return message(title, text, 200)

    async def _onwards(self, txn: Transaction, outcome: Outcome) -> Response:
        """Back to the merchant if it answered the webhook with 200, else on to Ottu's own page."""
        told = False
        if outcome.notification is not None:
            await self.notifier.first_attempt(outcome.notification, self.settings.answer_within)
            with self.database.begin() as session:
                row = session.get(Notification, outcome.notification)
                told = row is not None and row.last_status == 200
        if told and outcome.attempt is not None and txn.given.get("redirect_url"):
            return RedirectResponse(back(txn, outcome.attempt), 303, HEADERS)
        return RedirectResponse(f"{SUMMARY}?{urlencode({'session_id': txn.session_id})}", 303, HEADERS)

    def _open(self, session: Session, session_id: str) -> tuple[Transaction, Moment]:
        """The transaction of a link, and its time. Raises Closed when there is nothing left to pay."""
        txn = session.scalar(
            select(Transaction).where(Transaction.session_id == session_id, Transaction.deleted.is_(False))
        )
        if txn is None:
            raise Closed("Unknown link", "This link does not belong to any payment. Start again at the merchant.", 404)
        moment = clocks.read(session, txn.clock)
        if txn.state not in PAYABLE:
            raise Closed(*SAID.get(txn.state, SAID["failed"]), 410 if txn.state == "expired" else 409)
        return txn, moment

    def _lapse(self, session_id: str) -> None:
        """Expires a payment out of time. In a transaction of its own, which stays whatever becomes of the call."""
        with self.database.begin() as session:
            txn = session.scalar(select(Transaction).where(Transaction.session_id == session_id))
            if txn is not None:
                self.payments.lapse(session, clocks.read(session, txn.clock).now, txn, paying=True)

    def _challenged(self, session: Session, challenge_id: str) -> tuple[Transaction, Moment, Challenge]:
        challenge = session.get(Challenge, challenge_id)
        if challenge is None:
            raise Closed("Unknown link", "This link does not belong to any payment.", 404)
        if challenge.answered:
            raise Closed("Already answered", "This question was answered before.", 409)
        return *self._open(session, challenge.session_id), challenge


def _approved(decision: str) -> bool:
    """Raises Closed for what is no decision."""
    if decision != "approve":
        raise Closed("No decision", "Please go back and choose Pay or Cancel.", 422)
    return True
