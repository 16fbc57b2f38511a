"""Builds what merchants see from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func
from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.amounts import currency_of
from agreements.card_changes import OPEN
from agreements.credentials import last_day, warnings
from agreements.money import MoneyTotal
from agreements.notices import Wish
from agreements.status import AgreementStatus, ChargePurpose, ChargeStatus
from agreements.terms import Terms
from agreements.views import (
    ActionView,
    AgreementView,
    AttemptView,
    AuthorizationView,
    CardChangeView,
    ChargeView,
    CredentialView,
    Customer,
    DeclarationView,
    FirstPaymentView,
    PaymentMethod,
    RefundView,
    RevocationView,
    SavedCredentialView,
    Totals,
)
from store import attempts, clocks, credentials
from store.tables import Agreement, Attempt, Authorization, CardChange, Charge, Credential, Declaration, Refund

_NOBODY_WAITS = (AgreementStatus.PENDING_AUTHORIZATION, AgreementStatus.ACTIVE, AgreementStatus.PAST_DUE)
"""States below `action_required`: an agreement that needs its customer is not in one of them (design §4)."""
_PAID = (ChargeStatus.SUCCEEDED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED)

# Made once, as every event and every row of a list needs them: to make a statement takes longer than to execute it.
_ASKED = (
    select(Authorization)
    .where(Authorization.agreement_id == bindparam("agreement"), col(Authorization.card_change_id).is_(None))
    .order_by(col(Authorization.id).desc())
    .limit(1)
)
_is_cycle, _is_paid = col(Charge.purpose) == ChargePurpose.CYCLE, col(Charge.status).in_(_PAID)
_CYCLES = select_columns(
    func.max(Charge.cycle).filter(col(Charge.due_at) <= bindparam("until")),
    func.count(col(Charge.id)).filter(_is_cycle, _is_paid),
    func.count(col(Charge.id)).filter(_is_cycle, col(Charge.status) == ChargeStatus.FAILED),
    func.sum(Charge.amount).filter(_is_paid),
    func.min(Charge.currency),
).where(col(Charge.agreement_id) == bindparam("agreement"))

_REFUNDS = select(Refund).where(Refund.charge_id == bindparam("charge")).order_by(Refund.id)


async def agreements(session: AsyncSession, rows: Sequence[Agreement]) -> list[AgreementView]:
    """Several agreements, each as of now in its own time."""
    now = {clock: await clocks.now_for(session, clock) for clock in {row.test_clock_id for row in rows}}
    return [await agreement(session, row, now[row.test_clock_id]) for row in rows]


async def agreement(session: AsyncSession, row: Agreement, now: datetime) -> AgreementView:
    """One agreement, as of `now` in its own time."""
    terms = Terms.model_validate(row.terms)
    current_cycle, totals = await _cycles(session, row, terms, now)
    return AgreementView(
        id=row.id,
        reference=row.reference,
        status=row.status,
        livemode=row.livemode,
        gateway=row.gateway,
        payment_method=PaymentMethod(type=row.payment_method),
        customer=Customer.model_validate(row.customer),
        terms=terms,
        retry_policy=row.chosen_policy,
        notice=Wish.model_validate(row.notice) if row.notice else None,
        return_url=row.return_url,
        test_clock=row.test_clock_id,
        metadata=row.extra,
        authorization=await _authorization(session, row),
        credential=await _credential(session, row, terms, now),
        action=await _action(session, row),
        next_charge_at=row.next_charge_at,
        current_cycle=current_cycle,
        totals=totals,
        revocation=RevocationView.model_validate(row.revocation) if row.revocation else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


async def charge(session: AsyncSession, row: Charge) -> ChargeView:
    """One charge with its attempts and refunds, oldest first."""
    refunds = await session.exec(_REFUNDS, params={"charge": row.id})
    return ChargeView(
        id=row.id,
        agreement=row.agreement_id,
        cycle=row.cycle,
        purpose=row.purpose,
        status=row.status,
        amount=None if row.amount is None else row.money,
        description=row.description,
        due_at=row.due_at,
        next_attempt_at=row.next_attempt_at,
        act_by=row.act_by,
        noticed_at=row.noticed_at,
        notice_proven_at=row.notice_proven_at,
        carried_to=row.carried_to,
        paid_at=row.paid_at,
        attempts=_attempts(await attempts.of(session, row.id)),
        refunds=[refund(found) for found in refunds],
        created_at=row.created_at,
    )


def refund(row: Refund) -> RefundView:
    """One refund."""
    return RefundView.model_validate(
        {
            "id": row.id,
            "charge": row.charge_id,
            "origin": row.origin,
            "kind": row.kind,
            "gateway_request_id": row.request_id,
            "status": row.status,
            "amount": row.money,
            "reason": row.reason,
            "decline": row.decline,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
        }
    )


def declaration(row: Declaration) -> DeclarationView:
    """One declaration, without the buyer."""
    return DeclarationView.model_validate(
        {
            "id": row.id,
            "charge": row.charge_id,
            "status": row.status,
            "amount": row.money,
            "customs_code": row.customs_code,
            "merchant": {"code": row.merchant_code, "name": row.merchant_name},
            "sub_order_id": row.sub_order_id,
            "facts": row.facts,
            "decline": row.decline,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
        }
    )


def _attempts(rows: Sequence[Attempt]) -> list[AttemptView]:
    return [
        AttemptView.model_validate(
            {
                "number": row.number,
                "gateway_request_id": row.gateway_request_id,
                "status": row.status.shown,
                "amount": row.money,
                "by_customer": row.authorization_id is not None,
                "decline": row.decline,
                "decision": row.decision,
                "prepared_at": row.prepared_at,
                "sent_at": row.sent_at,
                "finished_at": row.finished_at,
            }
        )
        for row in rows
    ]


async def _authorization(session: AsyncSession, row: Agreement) -> AuthorizationView | None:
    found = (await session.exec(_ASKED, params={"agreement": row.id})).first()
    if found is None or found.status == "completed":
        return None
    waiting = found.status == "open"
    return AuthorizationView.model_validate(
        {
            "url": found.url if waiting else None,
            "expires_at": found.expires_at if waiting else None,
            "payment": await _first_payment(session, found),
            "error": found.error,
        }
    )


async def _first_payment(session: AsyncSession, authorization: Authorization) -> FirstPaymentView | None:
    query = select(Charge).join(Attempt, col(Attempt.charge_id) == Charge.id)
    charge = (await session.exec(query.where(Attempt.authorization_id == authorization.id))).first()
    if charge is None:
        return None
    return FirstPaymentView(charge=charge.id, purpose=charge.purpose, cycle=charge.cycle, amount=charge.money)


async def _credential(session: AsyncSession, row: Agreement, terms: Terms, now: datetime) -> CredentialView | None:
    found = await session.get(Credential, row.credential_id) if row.credential_id else None
    if found is None:
        return None
    holders = await credentials.holders(session, found) if row.ended else [row.id]
    return CredentialView.model_validate(_masked(found, holders, terms, now))


async def credential(session: AsyncSession, found: Credential, terms: Terms | None, now: datetime) -> CredentialView:
    """One credential, masked, with what speaks against it for these terms."""
    holders = await credentials.holders(session, found)
    return CredentialView.model_validate(_masked(found, holders, terms, now))


async def saved_credential(session: AsyncSession, found: Credential, now: datetime) -> SavedCredentialView:
    """One credential as its customer has it on file."""
    holders = await credentials.holders(session, found)
    on_file = {
        "gateway": found.gateway,
        "payment_method": {"type": found.payment_method},
        "status": found.status,
        "agreements": list(holders),
        "created_at": found.created_at,
    }
    return SavedCredentialView.model_validate(_masked(found, holders, None, now) | on_file)


def _masked(found: Credential, holders: Sequence[str], terms: Terms | None, now: datetime) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": found.kind,
        "brand": found.brand,
        "network": found.network,
        "last4": found.last4,
        "expiry_month": found.expiry_month,
        "expiry_year": found.expiry_year,
        "marks": found.marks,
        "token_expires_at": found.token_expires_at,
        "refreshable": found.sealed_refresh_token is not None,
        "locked": bool(holders),
        "warnings": warnings(found.marks, last_day(found.expiry_month, found.expiry_year), terms, now),
    }


async def _action(session: AsyncSession, row: Agreement) -> ActionView | None:
    """What the customer must do for the first charge that waits for them."""
    if row.ended or row.status in _NOBODY_WAITS:
        return None
    query = select(Charge).where(Charge.agreement_id == row.id, Charge.status == ChargeStatus.ACTION_REQUIRED)
    waiting = (await session.exec(query.order_by(col(Charge.act_by), Charge.id).limit(1))).first()
    if waiting is None and row.action_required is None:
        return None
    links = select(CardChange).where(CardChange.agreement_id == row.id, col(CardChange.status).in_(OPEN))
    link = (await session.exec(links)).first()
    return ActionView(
        reason=row.action_required or await _reason(session, waiting),
        url=link.url if link else None,
        act_by=waiting.act_by if waiting else None,
        card_change=link.id if link else None,
    )


async def _reason(session: AsyncSession, waiting: Charge | None) -> str:
    """Why one charge waits: its last decline, or that it was never tried in time."""
    declined = col(Attempt.decline).is_not(None)
    last = select(Attempt.decline).where(Attempt.charge_id == (waiting.id if waiting else ""), declined)
    decline = (await session.exec(last.order_by(col(Attempt.number).desc()).limit(1))).first()
    return str(decline["code"]) if decline else "past_catch_up_limit"


def card_change(row: CardChange) -> CardChangeView:
    """One card change; the link while it works."""
    return CardChangeView.model_validate(
        {
            "id": row.id,
            "agreement": row.agreement_id,
            "status": row.status,
            "initiator": row.initiator,
            "reason": row.reason,
            "charge": row.charge_id,
            "url": row.url if row.status in OPEN else None,
            "return_url": row.return_url,
            "credential": row.credential_id,
            "error": row.error,
            "expires_at": row.expires_at,
            "opened_at": row.opened_at,
            "finished_at": row.finished_at,
            "created_at": row.created_at,
        }
    )


async def _cycles(session: AsyncSession, row: Agreement, terms: Terms, now: datetime) -> tuple[int, Totals]:
    """The latest cycle that has fallen due, which none does once the agreement has ended, and what was collected."""
    connection = await session.connection()
    asked = await connection.execute(_CYCLES, {"agreement": row.id, "until": row.ended_at or now})
    current, paid, failed, amount, currency = asked.one()
    known = currency or currency_of(terms, row.currency)
    total = MoneyTotal(currency=known, value=int(amount or 0)) if known else None
    return current or 0, Totals(cycles_paid=paid, cycles_failed=failed, amount_paid=total)
