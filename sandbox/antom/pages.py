"""The wallet's pages, on which the customer agrees or declines. A program may post the same form (design §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session
from starlette.responses import Response

from sandbox import clocks
from sandbox.antom import scripts
from sandbox.antom.authorizations import Authorizations
from sandbox.antom.settings import AntomSettings
from sandbox.antom.state import Client, Consult
from sandbox.antom.wallets import WALLETS
from sandbox.clocks import Moment
from sandbox.database import Database
from sandbox.notifier import Notifier
from sandbox.pages import HEADERS, message, page

SCOPES = {
    "AGREEMENT_PAY": "Charge your wallet for the payments you agreed on, without asking each time",
    "BASE_USER_INFO": "See your basic account information",
    "USER_INFO": "See your account information",
    "USER_LOGIN_ID": "See your login name, masked",
    "HASH_LOGIN_ID": "Recognise your account without seeing your login name",
    "SEND_OTP": "Send you one-time passwords",
    "TAOBAO_REBIND": "Link your account again",
}


@dataclass
class Closed(Exception):
    """A link on which nothing can be decided any more, and the page that says so."""

    title: str
    text: str
    status: int


@dataclass
class Pages:
    """Routes of the wallet's pages."""

    database: Database
    authorizations: Authorizations
    notifier: Notifier
    settings: AntomSettings

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/wallet/authorize", self.show, methods=["GET"])
        router.add_api_route("/wallet/authorize", self.decide, methods=["POST"])
        router.add_api_route("/wallet/declined", self.declined, methods=["GET"])
        return router

    async def show(self, token: str = "") -> Response:
        """The page of a consult's normalUrl."""
        try:
            with self.database.begin() as session:
                consult, _ = _open_consult(session, token)
                merchant = session.get_one(Client, consult.client_id).name
        except Closed as closed:
            return message(closed.title, closed.text, closed.status)
        return page(
            "authorize.html",
            wallet=WALLETS[consult.wallet],
            merchant=merchant,
            scopes=[SCOPES[scope] for scope in consult.scopes.split()],
            vocabulary=list(scripts.VOCABULARY),
        )

    async def decide(
        self,
        token: str = "",
        decision: Annotated[str, Form()] = "",
        script: Annotated[str, Form()] = "",
    ) -> Response:
        """The customer's decision. Redirects once the merchant has acknowledged the code, or has had time to."""
        try:
            words = ",".join(scripts.parse(script))
        except scripts.BadScript as error:
            return message("This script cannot be used", str(error), 422)
        if decision not in ("approve", "reject"):
            return message("No decision", "Please go back and choose Approve or Reject.", 422)
        try:
            with self.database.begin() as session:
                consult, moment = _open_consult(session, token)
                if decision == "reject":
                    self.authorizations.reject(session, consult)
                    return RedirectResponse("/wallet/declined", 303, HEADERS)
                notification = self.authorizations.approve(session, moment, consult, words)
        except Closed as closed:
            return message(closed.title, closed.text, closed.status)
        if notification is not None:
            await self.notifier.first_attempt(notification, self.settings.acknowledge_within)
        return RedirectResponse(_back(consult), 303, HEADERS)

    async def declined(self) -> Response:
        """Where a customer who declines ends: Antom does not send them back."""
        return message("Request declined", "Nothing was authorized. You can close this page.", 200)


def _open_consult(session: Session, token: str) -> tuple[Consult, Moment]:
    """The consult of a link, and its time. Raises Closed when there is nothing left to decide."""
    consult = session.get(Consult, token)
    if consult is None:
        raise Closed("Unknown link", "This link does not belong to any request. Start again at the merchant.", 404)
    moment = clocks.read(session, consult.clock)
    if consult.decision is not None:
        raise Closed("Already answered", "This link was used before. Each link works once.", 409)
    if moment.now >= consult.expires_at:
        raise Closed("Link expired", "This request is no longer open. Start again at the merchant.", 410)
    return consult, moment


def _back(consult: Consult) -> str:
    """The merchant's address with the code, added before any fragment."""
    query = urlencode({"authCode": consult.auth_code, "authState": consult.auth_state})
    address, hash_sign, fragment = consult.redirect_url.partition("#")
    separator = "&" if "?" in address else "?"
    return f"{address}{separator}{query}{hash_sign}{fragment}"
