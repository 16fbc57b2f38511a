"""The Auto-Debit API: a saved card is charged without the customer, in two steps or in one (gateways/ottu.md §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import ValidationError
from sqlalchemy.orm import Session

from sandbox.clocks import Moment
from sandbox.ledger import Kind, Status
from sandbox.ottu.answers import Answer, Call, Refused, failed, field_errors
from sandbox.ottu.messages import DebitRequest, Instrument, TokenPayload
from sandbox.ottu.mids import MIDS, Mid
from sandbox.ottu.notices import Notices
from sandbox.ottu.payments import Pay, Payments, ledger_entry
from sandbox.ottu.results import payment
from sandbox.ottu.scripts import Refusal, Result, Step, step
from sandbox.ottu.state import PAYABLE, Attempt, Card, Link, Transaction, attempts_of, card_of, transaction_of
from sandbox.wire import News

PLUGIN_PERMISSIONS = ("Can add payment requests", "Can add e-commerce payments")
NO_SUCH_TOKEN = {"token": ["Invalid token."]}


@dataclass
class Debits:
    """Debits by the merchant."""

    payments: Payments
    notices: Notices

    def charge(self, call: Call) -> Answer:
        """Charges a card for a session made before. Nothing keeps a merchant from calling again while it is pending."""
        call.need(*PLUGIN_PERMISSIONS)
        try:
            request = DebitRequest.model_validate(call.body)
        except ValidationError as error:
            raise Refused(400, field_errors(error)) from error
        txn = transaction_of(call.session, call.merchant.merchant_id, request.session_id)
        if txn is None:
            raise Refused(400, {"session_id": ["Invalid session_id."]})
        return self._charge(call.inherit(txn), txn, request.token, 200)

    def in_one_step(self, call: Call, txn: Transaction, instrument: Instrument) -> Answer:
        """Charges a card for the session being created. When the debit is refused there is no session either."""
        if instrument.instrument_type != "token":
            raise self._undo(call, txn, Refused(400, {"payment_instrument": {"instrument_type": ["Not available."]}}))
        try:
            token = TokenPayload.model_validate(instrument.payload).token
        except ValidationError as error:
            errors = {"payment_instrument": {"payload": field_errors(error)}}
            raise self._undo(call, txn, Refused(400, errors)) from error
        try:
            answer = self._charge(call, txn, token, 201)
        except Refused as refusal:
            raise self._undo(call, txn, refusal) from refusal
        if answer.status in (400, 429) and not attempts_of(call.session, txn):
            call.session.delete(txn)
        else:
            self.payments.plan_expiry(call.session, call.moment, txn)
        return answer

    def _undo(self, call: Call, txn: Transaction, refusal: Refused) -> Refused:
        call.session.delete(txn)
        return refusal

    def _charge(self, call: Call, txn: Transaction, token: str, status: int) -> Answer:
        self.payments.lapse(call.session, call.moment.now, txn, paying=True)
        card, mid = _payer(call, txn, token)
        scripted = _next_step(card, call.moment)
        if scripted.refusal is not None:
            return _refuse(call, txn, card, scripted.refusal)
        if not scripted.reached:
            return Answer(500, wire=scripted.wire)
        attempt = self.payments.attempt(
            call.session,
            call.moment,
            txn,
            Pay(mid, scripted.reply, scripted.later, card.number, card, by_merchant=True),
        )
        card.revoked = card.revoked or scripted.revokes
        return replace(self._tell(call, txn, attempt, scripted.news, status), wire=scripted.wire)

    def _tell(self, call: Call, txn: Transaction, attempt: Attempt, news: News, status: int) -> Answer:
        """The answer, and a webhook only where the merchant or the script asks for one."""
        instance = call.merchant.instance
        body = payment(call.session, call.merchant, txn, attempt, call.moment.now)
        if instance.webhooks_for_debits or news is not News.NORMAL:
            self.notices.payment(call.session, call.moment, txn, body, news=news)
        declined = instance.declined_status if status == 200 else instance.one_step_declined_status
        if attempt.said.result in (Result.FAILED, Result.ERROR) and declined == 400:
            return failed(attempt.said.message).answer
        return Answer(status, body)


def _payer(call: Call, txn: Transaction, token: str) -> tuple[Card, Mid]:
    """The card to charge and the account to charge it at. Raises Refused in the order of Ottu's own checks."""
    given = txn.given
    if given["payment_type"] != "auto_debit" or txn.state not in PAYABLE:
        raise failed("The payment transaction cannot be paid in its current state.")
    if not any(MIDS[code].auto_debit for code in given["pg_codes"]):
        raise failed("Payment gateway does not support auto debit.")
    card = card_of(call.session, txn.merchant_id, given["customer_id"], token)
    if card is None:
        raise Refused(400, NO_SUCH_TOKEN)
    if card.pg_code not in given["pg_codes"]:
        raise failed("The card belongs to another payment gateway.")
    if call.merchant.instance.only_linked_card and not _linked(call.session, txn, card):
        raise failed("The card is not linked to the agreement.")
    return card, MIDS[card.pg_code]


def _linked(session: Session, txn: Transaction, card: Card) -> bool:
    found = session.get(Link, (txn.merchant_id, card.customer_id, txn.agreement_id))
    return found is not None and found.card_id == card.id


def _next_step(card: Card, moment: Moment) -> Step:
    """What the issuer knows wins over the script, and uses none of it up."""
    if card.revoked:
        return Step("REVOKED")
    if moment.now >= card.expires_at:
        return Step("EXPIRED_CARD")
    scripted = step(card.script, card.position)
    card.position += 1
    return scripted


def _refuse(call: Call, txn: Transaction, card: Card, refusal: Refusal) -> Answer:
    if refusal is Refusal.THROTTLED:
        return Answer(429, {"detail": "Request was throttled."})
    call.session.add(ledger_entry(txn, Kind.DEBIT, txn.amount, Status.FAILED, call.moment, card))
    if refusal is Refusal.TOKEN:
        return Answer(400, NO_SUCH_TOKEN)
    return failed("Auto debit failed.").answer
