"""The customer's payment: what choosing a card, approving or giving up does (gateways/ottu.md §2.3, §5, §12)."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from json import dumps, loads
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from sandbox.clocks import Moment
from sandbox.ottu.cards import save
from sandbox.ottu.mids import MIDS
from sandbox.ottu.notices import Notices
from sandbox.ottu.payments import Pay, Payments
from sandbox.ottu.results import payment
from sandbox.ottu.scripts import Result, reply
from sandbox.ottu.state import Attempt, Card, Challenge, Merchant, Transaction, card_of, cards_of
from sandbox.ottu.testcards import TEST_CARDS, Specimen, last_day, read_expiry


class Unusable(ValueError):
    """The customer's choice cannot be paid with; the text says why, and nothing was tried."""


@dataclass(frozen=True)
class Choice:
    """What the customer filled in: a test card's number or a saved card's token, an expiry unlike the card's own, the
    account to pay at, and the script of later debits."""

    card: str
    expiry: str
    pg_code: str
    script: str


@dataclass(frozen=True)
class Outcome:
    """Where the customer goes on, and the webhook (its number) that decides about it."""

    attempt: Attempt | None
    notification: int | None


@dataclass(frozen=True)
class _Payer:
    specimen: Specimen
    expiry: tuple[int, int]
    pg_code: str
    saved: Card | None


@dataclass
class Checkout:
    """Payments by customers."""

    payments: Payments
    notices: Notices

    def saved_cards(self, session: Session, txn: Transaction) -> list[Card]:
        """Those the page offers: none where a card is only to be saved."""
        given = txn.given
        owner = given.get("customer_id")
        if owner is None or given["payment_type"] == "save_card":
            return []
        return [card for card in cards_of(session, txn.merchant_id, owner) if card.pg_code in given["pg_codes"]]

    def give_up(self, session: Session, moment: Moment, txn: Transaction, pg_code: str) -> Outcome:
        """The customer cancels at the gateway."""
        mid = MIDS[_account(txn, pg_code)]
        return self._tell(session, moment, txn, self.payments.attempt(session, moment, txn, Pay(mid, "CANCELLED")))

    def pay(self, session: Session, moment: Moment, txn: Transaction, choice: Choice) -> Outcome | Challenge:
        """The customer pays; some cards ask back first. Raises Unusable."""
        payer = _payer(session, moment, txn, choice)
        if payer.specimen.challenge:
            txn.state = "pending"
            challenge = Challenge(secrets.token_urlsafe(24), txn.session_id, dumps(asdict(choice)))
            session.add(challenge)
            return challenge
        return self._pay(session, moment, txn, payer, choice.script, payer.specimen.reply)

    def answer(
        self, session: Session, moment: Moment, txn: Transaction, challenge: Challenge, *, approved: bool
    ) -> Outcome:
        """The customer has answered a 3-D Secure question."""
        challenge.answered = True
        choice = Choice(**loads(challenge.choice))
        payer = _payer(session, moment, txn, choice)
        said = payer.specimen.reply if approved else "AUTHENTICATION_FAILED"
        return self._pay(session, moment, txn, payer, choice.script, said)

    def _pay(
        self, session: Session, moment: Moment, txn: Transaction, payer: _Payer, script: str, said: str
    ) -> Outcome:
        card = payer.saved
        paid = reply(said).result is Result.SUCCESS
        if paid and txn.given["payment_type"] != "one_off":
            card = card or save(session, moment, txn, payer.pg_code, payer.specimen, payer.expiry)
            card.script, card.position = script, 0
        said = "VERIFIED" if paid and not txn.amount else said
        pay = Pay(MIDS[payer.pg_code], said, number=payer.specimen.number, card=card)
        return self._tell(session, moment, txn, self.payments.attempt(session, moment, txn, pay))

    def _tell(self, session: Session, moment: Moment, txn: Transaction, attempt: Attempt) -> Outcome:
        """The webhook, without delay since the customer waits."""
        merchant = session.get_one(Merchant, txn.merchant_id)
        body = payment(session, merchant, txn, attempt, moment.now)
        return Outcome(attempt, self.notices.payment(session, moment, txn, body, hold=timedelta(0)))


def back(txn: Transaction, attempt: Attempt) -> str:
    """The merchant's `redirect_url` with what Ottu appends, before any fragment."""
    ids = {
        "order_no": txn.order_no or "",
        "reference_number": attempt.reference_number,
        "session_id": txn.session_id,
    }
    address, hash_sign, fragment = str(txn.given["redirect_url"]).partition("#")
    separator = "&" if "?" in address else "?"
    return f"{address}{separator}{urlencode(ids)}{hash_sign}{fragment}"


def _account(txn: Transaction, wanted: str) -> str:
    codes: list[str] = txn.given["pg_codes"]
    if wanted and wanted not in codes:
        raise Unusable(f"{wanted} is not offered for this payment.")
    return wanted or codes[0]


def _payer(session: Session, moment: Moment, txn: Transaction, choice: Choice) -> _Payer:
    digits = "".join(choice.card.split()) or next(iter(TEST_CARDS))
    pg_code = _account(txn, choice.pg_code)
    if specimen := TEST_CARDS.get(digits):
        try:
            expiry = read_expiry(choice.expiry) if choice.expiry else specimen.expiry(moment.now)
        except ValueError as error:
            raise Unusable(str(error)) from error
        payer = _Payer(specimen, expiry, pg_code, None)
    else:
        saved = card_of(session, txn.merchant_id, txn.given.get("customer_id"), digits)
        if saved is None or txn.given["payment_type"] == "save_card" or saved.pg_code not in txn.given["pg_codes"]:
            raise Unusable(f"There is no card {choice.card}. Known: {', '.join(TEST_CARDS)}")
        payer = _Payer(TEST_CARDS[saved.number], (saved.expiry_year, saved.expiry_month), saved.pg_code, saved)
    _accept(moment, txn, payer.expiry)
    return payer


def _accept(moment: Moment, txn: Transaction, expiry: tuple[int, int]) -> None:
    today, last = moment.now.date(), last_day(expiry)
    if last < today:
        raise Unusable("This card has expired.")
    days = (txn.given.get("card_acceptance_criteria") or {}).get("min_expiry_time", 0)
    if (last - today).days < days:
        raise Unusable(f"This card expires within {days} days. Please use another one.")
