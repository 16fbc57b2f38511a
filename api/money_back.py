"""Refunds and canceled charges: committed with their key first, then carried on by workflows."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from agreements.money import Money
from agreements.refunds import RefundStanding
from api import commands, telling
from api.problems import not_found
from api.services import Services
from store import cancellations, reads, refunds, views
from store.changes import Change
from store.idempotency import Call
from store.tables import Charge, Refund


async def refund(
    inside: Services, call: Call, charge_id: str, amount: Money | None, reason: str | None
) -> JSONResponse:
    """The answer to a refund call, first or repeated. Raises Problem."""
    made: list[tuple[Refund, RefundStanding]] = []

    async def act(change: Change) -> None:
        asked = await refunds.ask(change, charge_id, amount, reason)
        made.append((asked, await refunds.standing(change.session, asked, change.agreement)))

    async def show(_: Change) -> dict[str, Any]:
        return views.refund(made[0][0]).model_dump(mode="json")

    agreement_id = await _agreement_of(inside, call, charge_id)
    change, answer = await commands.once(inside, call, agreement_id, act, show, 201)
    if change is not None:
        await telling.money_back(inside, made[0][1])
    return answer


async def cancel(inside: Services, call: Call, charge_id: str) -> JSONResponse:
    """The answer to a cancel call, first or repeated. Raises Problem."""
    made: list[RefundStanding] = []

    async def act(change: Change) -> None:
        if back := await cancellations.cancel(change, charge_id):
            made.append(await refunds.standing(change.session, back, change.agreement))

    async def show(change: Change) -> dict[str, Any]:
        charge = await change.session.get_one(Charge, charge_id)
        return (await views.charge(change.session, charge)).model_dump(mode="json")

    agreement_id = await _agreement_of(inside, call, charge_id)
    change, answer = await commands.once(inside, call, agreement_id, act, show)
    if change is not None:
        await telling.look(inside, change.standing, change.delivery_ids)
    for refund in made if change is not None else ():
        await telling.money_back(inside, refund)
    return answer


async def _agreement_of(inside: Services, call: Call, charge_id: str) -> str:
    async with inside.database.transaction() as session:
        charge = await reads.find(session, Charge, call.principal, charge_id)
        if charge is None:
            raise not_found("charge")
        return charge.agreement_id
