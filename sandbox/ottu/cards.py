"""The User Cards API, and how a card comes into it (gateways/ottu.md §6)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox import clocks
from sandbox.clocks import Moment
from sandbox.ottu.answers import Answer, Call, Refused, field_errors, not_found
from sandbox.ottu.messages import CardKey, CardsRequest
from sandbox.ottu.results import card as shown
from sandbox.ottu.state import Card, Link, Transaction, agreements_of, card_of, card_token, cards_of
from sandbox.ottu.testcards import Specimen


def list_cards(call: Call) -> Answer:
    """A customer's cards; with `agreement_id`, the one that agreement is paid with."""
    _key_only(call)
    try:
        request = CardsRequest.model_validate(_asked(call))
    except ValidationError as error:
        raise Refused(400, field_errors(error)) from error
    cards = cards_of(call.session, call.merchant.merchant_id, request.customer_id)
    newest = cards[:1]
    if request.type == "production":
        cards = []
    if request.pg_codes:
        cards = [card for card in cards if card.pg_code in request.pg_codes]
    if request.agreement_id:
        found = call.session.get(Link, (call.merchant.merchant_id, request.customer_id, request.agreement_id))
        cards = [card for card in cards if found is not None and card.id == found.card_id]
    return Answer(200, [_listed(call, row, preferred=[row] == newest) for row in cards])


def _listed(call: Call, row: Card, *, preferred: bool) -> dict[str, object]:
    moment = call.moment if call.moment.clock else clocks.read(call.session, row.clock)
    return shown(call.session, call.merchant, row, moment.now, listed=True, preferred=preferred)


def delete_card(call: Call) -> Answer:
    """Forgets a card, unless an agreement is paid with it."""
    _key_only(call)
    try:
        request = CardKey.model_validate(dict(call.query))
    except ValidationError as error:
        raise Refused(400, field_errors(error)) from error
    card = card_of(call.session, call.merchant.merchant_id, request.customer_id, call.path["token"])
    if card is None or request.type == "production":
        raise not_found()
    if agreements_of(call.session, card):
        raise Refused(400, {"detail": "This card is used for auto debit and cannot be deleted."})
    card.deleted = True
    return Answer(204)


def save(
    session: Session, moment: Moment, txn: Transaction, pg_code: str, specimen: Specimen, expiry: tuple[int, int]
) -> Card:
    """The customer's card under its token: the same one again if it was saved before."""
    given = txn.given
    own = select(Card).where(
        Card.merchant_id == txn.merchant_id,
        Card.customer_id == given["customer_id"],
        Card.pg_code == pg_code,
        Card.number == specimen.number,
        Card.deleted.is_(False),
    )
    card = session.scalar(own)
    if card is None:
        card = Card(
            id=f"cred_{secrets.token_urlsafe(24)}",
            token=card_token(),
            merchant_id=txn.merchant_id,
            customer_id=given["customer_id"],
            pg_code=pg_code,
            number=specimen.number,
            brand=specimen.brand,
            name=_holder(given),
            expiry_year=expiry[0],
            expiry_month=expiry[1],
            clock=txn.clock,
            created=moment.now,
        )
        session.add(card)
    card.expiry_year, card.expiry_month, card.revoked = *expiry, False
    session.flush()
    return card


def _holder(given: Mapping[str, str]) -> str:
    names = (given.get("customer_first_name"), given.get("customer_last_name"))
    return " ".join(name for name in names if name).upper() or "CARD HOLDER"


def _key_only(call: Call) -> None:
    if call.user is not None:
        raise Refused(403, {"detail": "You do not have permission to perform this action."})


def _asked(call: Call) -> Mapping[str, object]:
    """POST with a body as specified, or GET with the same names in the query as the prose has it."""
    return call.body or dict(call.query)
