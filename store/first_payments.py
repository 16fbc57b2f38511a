"""The customer's own payments, where that is how a provider takes consent: attempts, made on a page of the provider.

The row is committed before the page is asked for (design promise 5). It stays open until the provider has told what the
page came to: a page that is given up is closed there, never forgotten here.
"""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import catalog
from agreements.attempts import UNFINISHED, order_id, request_id
from agreements.first_payments import FIRST, is_first_cycle
from agreements.money import Money
from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus
from store import cycles, ids
from store.changes import Change
from store.tables import Agreement, Attempt, Authorization, Charge

_TO_COME = (AttemptStatus.PREPARED, *UNFINISHED)


def needed(agreement: Agreement) -> bool:
    """Whether the customer agrees by paying, with this agreement's method."""
    method = catalog.method(agreement.gateway, agreement.payment_method)
    return method is not None and method.consent_by_payment


async def with_consent(change: Change, authorization: Authorization) -> Attempt:
    """The payment by which an agreement begins: its first cycle, or a verification."""
    charge = await cycles.write_next(change, FIRST) if is_first_cycle(change.plan, change.now) else None
    if charge is None:
        charge = _verification(change)
    charge.status, charge.next_attempt_at, charge.notice_at = ChargeStatus.PROCESSING, None, None
    return await _write(change, charge, authorization)


async def with_new_card(change: Change, authorization: Authorization) -> Attempt:
    """The payment that proves another card: the next attempt of the oldest overdue charge, or a verification.

    The charge's own plan goes on meanwhile, and again if nothing comes of the page.
    """
    for charge in await cycles.overdue(change):
        if not await cycles.in_flight(change, charge):
            await cycles.drop_prepared(change, charge)
            return await _write(change, charge, authorization)
    charge = _verification(change)
    charge.status, charge.next_attempt_at = ChargeStatus.PROCESSING, None
    return await _write(change, charge, authorization)


async def of(session: AsyncSession, authorization: Authorization) -> Attempt | None:
    """The payment made on a page; None where consent takes none."""
    return (await session.exec(select(Attempt).where(Attempt.authorization_id == authorization.id))).first()


async def page_of(session: AsyncSession, charge_id: str) -> Authorization | None:
    """The page on which a charge may be being paid at this moment."""
    query = (
        select(Authorization)
        .join(Attempt, col(Attempt.authorization_id) == Authorization.id)
        .where(Attempt.charge_id == charge_id, col(Attempt.status).in_(_TO_COME))
    )
    return (await session.exec(query.limit(1))).first()


async def close(change: Change, authorization: Authorization) -> bool:
    """Lets nobody pay on this page any more. Whether the provider has to be asked first: it may have been paid."""
    payment = await of(change.session, authorization)
    if payment is None or payment.status not in _TO_COME:
        return False
    if payment.status is AttemptStatus.PREPARED:
        await drop(change, payment)
        return False
    authorization.status = "closing"
    authorization.next_try_at = change.now
    authorization.expires_at = None
    return True


async def drop(change: Change, payment: Attempt) -> None:
    """No page was handed out for it, and none will be."""
    payment.status, payment.finished_at = AttemptStatus.CANCELED, change.now
    charge = await change.session.get_one(Charge, payment.charge_id)
    if charge.purpose is ChargePurpose.VERIFICATION or change.agreement.credential_id is None:
        cycles.cancel(change, charge)


def _verification(change: Change) -> Charge:
    agreement = change.agreement
    method = catalog.method(agreement.gateway, agreement.payment_method)
    if method is None or method.verification is None:
        raise ValueError(f"{agreement.payment_method} cannot be verified by a payment")
    money = Money(currency=method.currency, value=method.verification)
    charge = Charge(
        id=ids.new("chg"),
        agreement_id=agreement.id,
        merchant_id=agreement.merchant_id,
        livemode=agreement.livemode,
        purpose=ChargePurpose.VERIFICATION,
        status=ChargeStatus.PROCESSING,
        currency=money.currency,
        amount=money.value,
        due_at=change.now,
        created_at=change.now,
    )
    change.session.add(charge)
    return charge


async def _write(change: Change, charge: Charge, authorization: Authorization) -> Attempt:
    await change.session.flush()
    query = select(func.max(Attempt.number)).where(Attempt.charge_id == charge.id)
    number = ((await change.session.exec(query)).one() or 0) + 1
    charge.attempts_made = number
    payment = Attempt(
        id=ids.new("att"),
        agreement_id=charge.agreement_id,
        charge_id=charge.id,
        number=number,
        gateway_request_id=request_id(order_id(charge.agreement_id, charge.cycle, charge.id), number),
        status=AttemptStatus.PREPARED,
        currency=charge.money.currency,
        amount=charge.money.value,
        authorization_id=authorization.id,
        merchant_id=change.agreement.merchant_id,
        prepared_at=change.now,
    )
    change.session.add(payment)
    return payment
