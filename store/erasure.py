"""Erasing a customer: who they are goes, what was agreed, debited and given back stays (docs/security.md).

One transaction with the customer's agreements locked, so it is done as a whole or not at all; doing it again changes
nothing. Refused while anything of theirs is alive or on its way: whoever asks about that debit must find its customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.attempts import UNFINISHED
from agreements.erasure import without_person
from agreements.refunds import RefundStatus
from store import consents, journal, trail
from store.actors import Actor
from store.journal import JournalledMessage
from store.merchants import Principal
from store.tables import (
    Agreement,
    Authorization,
    CardChange,
    Consent,
    Credential,
    Delivery,
    DeliveryAttempt,
    Event,
    IdempotencyKey,
    Notification,
    PortalLink,
)
from store.vault import Vault

_IN_THE_WAY = """
    select id || case
      when ended is null then ' is ' || status || ': it has not ended'
      when revoke_at is not null then ': its end is still to be told to the provider'
      else ': something is left to be done, due ' || next_step_at end
    from agreements where id = any(:agreements) and (ended is null or next_step_at is not null)
  union all
    select id || ': a debit that is ' || status from attempts
    where agreement_id = any(:agreements) and status = any(:unfinished)
  union all
    select id || ': a refund that is ' || status from refunds
    where agreement_id = any(:agreements) and (status = any(:on_their_way) or next_try_at is not null)
  union all
    select id || ': a declaration at customs that is ' || status from declarations
    where agreement_id = any(:agreements) and next_try_at is not null
  union all
    select id || ': a message of the provider that is ' || status from notifications
    where agreement_id = any(:agreements) and status in ('received', 'signalled')
  union all
    select id || case when release_at is not null then ': a credential that is still to be ended at the provider'
      else ': a credential on file; delete it first (DELETE /v1/customers/{id}/credentials/{credential})' end
    from credentials
    where merchant_id = :merchant and livemode = :livemode and customer_id = :customer
      and (release_at is not null
        or deleted_at is null and status not in ('released', 'release_failed', 'superseded'))
  order by 1
"""
"""Why a customer cannot be erased yet, in words."""


class NoSuchCustomer(LookupError):
    """The merchant has no agreement with this customer in this mode."""


class NotYet(Exception):
    """Something of the customer's is alive, or on its way; `reasons` say what."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class Erased:
    """What was gone through: agreements, their events, kept answers and journalled messages."""

    agreements: tuple[str, ...]
    events: int
    answers: int
    messages: int


async def erase(
    session: AsyncSession, vault: Vault, owner: Principal, customer_id: str, actor: Actor, now: datetime
) -> Erased:
    """Blanks what tells who a merchant's customer is, in one mode. Raises NoSuchCustomer and NotYet."""
    query = select(Agreement).where(
        Agreement.merchant_id == owner.merchant_id,
        Agreement.livemode == owner.livemode,
        Agreement.customer_id == customer_id,
    )
    agreements = list(await session.exec(query.order_by(Agreement.id).with_for_update()))
    if not agreements:
        raise NoSuchCustomer(f"{owner.merchant_id} has no agreement with a customer {customer_id} in this mode")
    ids = [agreement.id for agreement in agreements]
    await _refuse(session, owner, customer_id, ids)
    for agreement in agreements:
        agreement.customer, agreement.extra = without_person({"customer": agreement.customer})["customer"], {}
        trail.note(
            session,
            actor,
            merchant_id=owner.merchant_id,
            livemode=owner.livemode,
            object_id=customer_id,
            agreement_id=agreement.id,
        )
    await _links(session, ids)
    await _credentials(session, owner, customer_id, now)
    await _evidence(session, vault, ids)
    return Erased(
        agreements=tuple(ids),
        events=await _events(session, ids),
        answers=await _answers(session, owner, ids),
        messages=await _messages(session, vault, ids),
    )


async def _refuse(session: AsyncSession, owner: Principal, customer_id: str, agreements: list[str]) -> None:
    values = {
        "agreements": agreements,
        "merchant": owner.merchant_id,
        "livemode": owner.livemode,
        "customer": customer_id,
        "unfinished": UNFINISHED,
        "on_their_way": (RefundStatus.PENDING, RefundStatus.UNKNOWN),
    }
    asked = (await session.connection()).execute(text(_IN_THE_WAY), values)
    if reasons := list((await asked).scalars()):
        raise NotYet(reasons)


async def _links(session: AsyncSession, agreements: list[str]) -> None:
    """What could still show the customer's page, or lead to one of the provider's that knows them."""
    await session.exec(delete(PortalLink).where(col(PortalLink.agreement_id).in_(agreements)))
    await session.exec(update(Authorization).where(col(Authorization.agreement_id).in_(agreements)).values(url=None))
    await session.exec(update(CardChange).where(col(CardChange.agreement_id).in_(agreements)).values(url=""))


async def _credentials(session: AsyncSession, owner: Principal, customer_id: str, now: datetime) -> None:
    """Tokens that are not used any more. What a card's declines have cost of its budget may never be forgotten."""
    query = select(Credential).where(
        Credential.merchant_id == owner.merchant_id,
        Credential.livemode == owner.livemode,
        Credential.customer_id == customer_id,
    )
    for row in await session.exec(query.order_by(Credential.id).with_for_update()):
        row.deleted_at = row.deleted_at or now
        row.sealed_access_token = row.sealed_refresh_token = row.token_reference = None


async def _evidence(session: AsyncSession, vault: Vault, agreements: list[str]) -> None:
    """Where and when they were seen stays; from which address and with which browser does not."""
    query = select(Consent).where(col(Consent.agreement_id).in_(agreements))
    for row in await session.exec(query.order_by(Consent.id).with_for_update()):
        consents.forget_visitor(vault, row)


async def _events(session: AsyncSession, agreements: list[str]) -> int:
    """What was told, and what receivers answered to it, which may repeat it."""
    of_them = (
        select(Delivery.id)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(col(Event.agreement_id).in_(agreements))
    )
    log = update(DeliveryAttempt).where(col(DeliveryAttempt.delivery_id).in_(of_them))
    await session.exec(log.values(answer=None))
    rows = (await session.exec(select(Event).where(col(Event.agreement_id).in_(agreements)))).all()
    for row in rows:
        row.data = without_person(row.data)
    return len(rows)


async def _answers(session: AsyncSession, owner: Principal, agreements: list[str]) -> int:
    """Answers that are kept for repeats of calls: a repeat is answered without the person."""
    query = select(IdempotencyKey).where(
        IdempotencyKey.merchant_id == owner.merchant_id,
        IdempotencyKey.livemode == owner.livemode,
        col(IdempotencyKey.resource_id).in_(agreements),
        col(IdempotencyKey.answer).is_not(None),
    )
    rows = (await session.exec(query)).all()
    for row in rows:
        row.answer = without_person(row.answer)
    return len(rows)


async def _messages(session: AsyncSession, vault: Vault, agreements: list[str]) -> int:
    """Providers' messages and what browsers brought back: the rows stay, so that a late copy is known as one."""
    rows = (await session.exec(select(Notification).where(col(Notification.agreement_id).in_(agreements)))).all()
    for row in rows:
        row.sealed_message = journal.seal(vault, JournalledMessage())
    return len(rows)
