"""Declarations at customs as rows: asked for within what was captured, carried on, and told when they end."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import catalog
from agreements.declarations import COUNTED, DECLARABLE, DeclarationStanding, DeclarationStatus, Progress
from agreements.declines import Decline
from agreements.money import Money
from store import captured, clocks, cycles, ids, views
from store.captured import AmountRefused
from store.changes import Change
from store.database import Database
from store.lifecycle import Conflict
from store.tables import Agreement, Attempt, Charge, Declaration

SEALED_AS = "customs_buyer"


@dataclass(frozen=True)
class Wanted:
    """What a merchant asks to have declared; without `amount` all that is left. The buyer comes sealed."""

    amount: Money | None
    customs_code: str
    merchant_code: str
    merchant_name: str
    sub_order_id: str | None
    sealed_buyer: str | None


async def ask(change: Change, charge_id: str, wanted: Wanted) -> Declaration:
    """Writes down a declaration. The charge's row is locked, so that those asked for at once never exceed what was
    captured. Raises Conflict and AmountRefused.
    """
    method = catalog.method(change.agreement.gateway, change.agreement.payment_method)
    if method is None or not method.customs:
        raise Conflict(f"payments with {method.name if method else 'this method'} cannot be declared at customs")
    charge = await captured.locked(change, charge_id)
    if charge.status not in DECLARABLE:
        raise Conflict(f"a charge that is {charge.status} cannot be declared at customs")
    attempt = await captured.paying(change, charge)
    left = attempt.amount - await _declared(change, attempt)
    if left <= 0:
        raise Conflict("all of it is declared already")
    amount = wanted.amount or Money(currency=attempt.currency, value=left)
    _check(amount, attempt, left, wanted.sub_order_id)
    return _write(change, attempt, amount, wanted)


def progress(declaration: Declaration) -> Progress:
    """How far it has come, as the rules of `agreements/declarations.py` take it."""
    return Progress(
        status=declaration.status,
        next_at=declaration.next_try_at,
        accepted=declaration.accepted,
        sent_at=declaration.sent_at,
        tries=declaration.tries,
    )


def apply(change: Change, declaration: Declaration, charge: Charge, after: Progress, decline: Decline | None) -> None:
    """Writes down how far it has come. What names the buyer goes once it is not needed; an end is an event."""
    declaration.status, declaration.next_try_at = after.status, after.next_at
    declaration.accepted, declaration.sent_at, declaration.tries = after.accepted, after.sent_at, after.tries
    if after.accepted or after.next_at is None:
        declaration.sealed_buyer = None
    if after.next_at is not None or declaration.finished_at is not None:
        return
    declaration.finished_at = change.now
    if after.status is DeclarationStatus.FAILED and decline:
        declaration.decline = decline.model_dump(mode="json")
    shown = views.declaration(declaration).model_dump(mode="json")
    change.event(f"declaration.{after.status}", charge, declaration=shown)


async def of_charge(session: AsyncSession, charge_id: str) -> list[Declaration]:
    """Oldest first."""
    query = select(Declaration).where(Declaration.charge_id == charge_id).order_by(Declaration.id)
    return list(await session.exec(query))


async def standing(session: AsyncSession, declaration: Declaration, agreement: Agreement) -> DeclarationStanding:
    """What the declaration's workflow must know of it."""
    charge = await session.get_one(Charge, declaration.charge_id)
    return DeclarationStanding(
        declaration_id=declaration.id,
        agreement_id=agreement.id,
        merchant_id=agreement.merchant_id,
        gateway=agreement.gateway,
        test_clock_id=agreement.test_clock_id,
        title=f"declare {declaration.money} of charge {charge.id} ({cycles.in_words(charge)}) at customs",
        status=declaration.status,
        as_of=await clocks.now_for(session, agreement.test_clock_id),
        next_at=declaration.next_try_at,
    )


async def current(database: Database, declaration_id: str) -> DeclarationStanding:
    """The standing of a declaration nobody is changing. Raises NoResultFound if there is none."""
    async with database.transaction() as session:
        declaration = await session.get_one(Declaration, declaration_id)
        return await standing(session, declaration, await session.get_one(Agreement, declaration.agreement_id))


async def mark_started(database: Database, declaration_id: str) -> None:
    """Notes that the declaration's workflow was started."""
    async with database.transaction() as session:
        await session.exec(update(Declaration).where(col(Declaration.id) == declaration_id).values(started=True))


def _check(amount: Money, attempt: Attempt, left: int, sub_order_id: str | None) -> None:
    captured.check(amount, attempt, left, "declare")
    if amount.value < attempt.amount and sub_order_id is None:
        raise AmountRefused("/sub_order_id", "a part of a payment is declared as one of its sub-orders")


async def _declared(change: Change, attempt: Attempt) -> int:
    """What of a debit is declared or may yet be, in minor units."""
    query = select(func.sum(Declaration.amount)).where(
        Declaration.attempt_id == attempt.id, col(Declaration.status).in_(COUNTED)
    )
    return int((await change.session.exec(query)).one() or 0)


def _write(change: Change, attempt: Attempt, amount: Money, wanted: Wanted) -> Declaration:
    declaration = Declaration(
        id=ids.new("dcl"),
        agreement_id=attempt.agreement_id,
        charge_id=attempt.charge_id,
        attempt_id=attempt.id,
        status=DeclarationStatus.PENDING,
        currency=amount.currency,
        amount=amount.value,
        customs_code=wanted.customs_code,
        merchant_code=wanted.merchant_code,
        merchant_name=wanted.merchant_name,
        sub_order_id=wanted.sub_order_id,
        sealed_buyer=wanted.sealed_buyer,
        next_try_at=change.now,
        created_at=change.now,
    )
    change.session.add(declaration)
    return declaration
