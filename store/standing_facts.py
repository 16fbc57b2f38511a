"""What a standing is made of, read in one round trip: PostgreSQL puts the lists together.

Every change of an agreement ends with this query. As a dozen of small ones it was most of what a change cost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.attempts import UNFINISHED
from agreements.card_changes import OPEN, Initiator
from agreements.money import Money
from agreements.refunds import RefundOrigin
from agreements.status import ChargeStatus
from store.tables import Agreement

RECENT = 5
"""How many of the last charges operators see."""
_UNPAID = (ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED, ChargeStatus.FAILED)
_IN_FLIGHT = (ChargeStatus.PROCESSING, ChargeStatus.UNKNOWN)
SETTLED_FIRST = ("closing", "granted")
"""What became of these pages is found out before anything new is asked for."""
_QUERY = text("""
select json_build_object(
  'authorization', (
    select row_to_json(page) from (
      select status, next_try_at, expires_at,
             exists (select from attempts where authorization_id = authorizations.id) as takes_payment
        from authorizations
       where agreement_id = :agreement and status = any(:pages)
       order by status = any(:settled_first) desc, id desc limit 1) page),
  'paid_on_closing_pages', (
    select json_agg(attempt.charge_id) from attempts attempt join authorizations page on page.id = authorization_id
     where page.agreement_id = :agreement and page.status = 'closing'),
  'credential', (
    select row_to_json(used) from (
      select id, brand, last4, token_expires_at, refresh_at from credentials where id = :credential) used),
  'waiting', (
    select json_agg(waiting order by due_at, id) from (
      select charge.id, charge.cycle, charge.status, charge.currency, charge.amount, charge.due_at,
             next_attempt_at, notice_at, act_by, attempts_made, decision, decline ->> 'code' as declined
        from charges charge left join attempts last on last.charge_id = charge.id and last.number = attempts_made
       where charge.agreement_id = :agreement
         and (next_attempt_at is not null or notice_at is not null or act_by is not null)) waiting),
  'past', (
    select json_agg(past) from (
      select charge.id, charge.cycle, charge.status, charge.currency, charge.amount, charge.due_at, attempts_made,
             decision, decline ->> 'code' as declined
        from charges charge left join attempts last on last.charge_id = charge.id and last.number = attempts_made
       where charge.agreement_id = :agreement and due_at <= :now order by due_at desc limit :recent) past),
  'unpaid', (
    select json_agg(distinct status) from charges
     where agreement_id = :agreement and purpose = 'cycle'
       and (status = any(:unpaid) or status = any(:in_flight) and attempts_made > 1)),
  'unfinished', (
    select json_agg(asked order by id) from (
      select attempt.id, number, next_look_at, charge.cycle
        from attempts attempt join charges charge on charge.id = charge_id
       where attempt.agreement_id = :agreement and next_look_at is not null) asked),
  'reversals', (
    select json_agg(going_back order by id) from (
      select id, currency, amount, next_try_at from refunds
       where agreement_id = :agreement and next_try_at is not null and origin <> :merchants) going_back),
  'replaced', (
    select json_agg(replaced order by id) from (
      select id, release_at, exists (
               select from attempts
                where credential_id = credentials.id and agreement_id = :agreement and status = any(:unfinished)
             ) as in_flight
        from credentials where released_by = :agreement and release_at is not null) replaced),
  'link', (
    select row_to_json(link) from (
      select initiator, created_at, expires_at, reminders from card_changes
       where agreement_id = :agreement and status = any(:open_links) and not exists (
             select from authorizations where card_change_id = card_changes.id and status = any(:settled_first))) link),
  'attempts_open', exists (
    select from attempts
     where agreement_id = :agreement and (status = any(:unfinished) or next_look_at is not null)))
""")


def _listed(value: object) -> object:
    """PostgreSQL aggregates no rows to null."""
    return () if value is None else value


def _utc(value: datetime) -> datetime:
    """PostgreSQL writes times in the session's zone."""
    return value.astimezone(UTC)


_Instant = Annotated[datetime, AfterValidator(_utc)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class AuthorizationRow(_Row):
    """The request for consent to go on with."""

    status: str
    next_try_at: _Instant | None
    expires_at: _Instant | None
    takes_payment: bool

    @property
    def to_be_paid(self) -> bool:
        """The customer is to pay on it, which a stop switch forbids; what was paid is found out whatever is stopped."""
        return self.takes_payment and self.status not in SETTLED_FIRST


class CredentialRow(_Row):
    """The credential in use."""

    id: str
    brand: str
    last4: str | None
    token_expires_at: _Instant | None
    refresh_at: _Instant | None


class ChargeRow(_Row):
    """A charge something is still to happen to, or that has been due; decision and decline are its last attempt's."""

    id: str
    cycle: int | None
    status: ChargeStatus
    currency: str | None
    amount: int | None
    due_at: _Instant
    next_attempt_at: _Instant | None = None
    notice_at: _Instant | None = None
    act_by: _Instant | None = None
    attempts_made: int
    decision: dict[str, Any] | None = None
    declined: str | None = None

    @property
    def shown_amount(self) -> str:
        """For people."""
        if self.currency is None or self.amount is None:
            return "amount not set yet"
        return str(Money(currency=self.currency, value=self.amount))


class AttemptRow(_Row):
    """An attempt the provider is to be asked about."""

    id: str
    cycle: int | None
    number: int
    next_look_at: _Instant


class ReversalRow(_Row):
    """Money the engine gives back."""

    id: str
    currency: str
    amount: int
    next_try_at: _Instant


class ReplacedRow(_Row):
    """A credential to be ended at the provider; one that an attempt in flight was sent with has time."""

    id: str
    release_at: _Instant
    in_flight: bool


class LinkRow(_Row):
    """An open link for a card change whose time runs: not while the provider is asked what came of it."""

    initiator: Initiator
    created_at: _Instant
    expires_at: _Instant
    reminders: int


class StandingFacts(_Row):
    """All of an agreement that its workflow goes by, apart from the agreement's own row."""

    authorization: AuthorizationRow | None
    paid_on_closing_pages: Annotated[tuple[str, ...], BeforeValidator(_listed)]
    credential: CredentialRow | None
    waiting: Annotated[tuple[ChargeRow, ...], BeforeValidator(_listed)]
    """Oldest first."""
    past: Annotated[tuple[ChargeRow, ...], BeforeValidator(_listed)]
    """Newest first."""
    unpaid: Annotated[frozenset[ChargeStatus], BeforeValidator(_listed)]
    """The states of cycles that have been due and are not paid, or are not yet known to be."""
    unfinished: Annotated[tuple[AttemptRow, ...], BeforeValidator(_listed)]
    reversals: Annotated[tuple[ReversalRow, ...], BeforeValidator(_listed)]
    """Those of merchants have workflows of their own."""
    replaced: Annotated[tuple[ReplacedRow, ...], BeforeValidator(_listed)]
    link: LinkRow | None
    attempts_open: bool
    """Money may still move, or somebody has to find out whether it did."""

    @property
    def due_releases(self) -> list[ReplacedRow]:
        """Credentials to be ended at the provider, but none an attempt in flight was sent with: it settles first."""
        return [row for row in self.replaced if not row.in_flight]


def hopeful_pages(agreement: Agreement) -> tuple[str, ...]:
    """The states of pages to go on with; once the agreement has ended only of one that may have been paid."""
    return ("closing",) if agreement.ended else (*SETTLED_FIRST, "requested", "open")


async def read(session: AsyncSession, agreement: Agreement, now: datetime) -> StandingFacts:
    """As of the rows of this transaction; what the session still holds back is written first."""
    await session.flush()
    wanted = {
        "agreement": agreement.id,
        "credential": agreement.credential_id,
        "now": now,
        "recent": RECENT,
        "pages": hopeful_pages(agreement),
        "settled_first": SETTLED_FIRST,
        "unpaid": _UNPAID,
        "in_flight": _IN_FLIGHT,
        "unfinished": UNFINISHED,
        "merchants": RefundOrigin.MERCHANT,
        "open_links": OPEN,
    }
    connection = await session.connection()
    return StandingFacts.model_validate((await connection.execute(_QUERY, wanted)).scalar_one())
