"""Declarations at customs: committed with their key first, then carried on by workflows."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from agreements.declarations import DeclarationStanding
from api import commands, telling
from api.problems import not_found
from api.services import Services
from store import declarations, reads, views
from store.changes import Change
from store.declarations import Wanted
from store.idempotency import Call
from store.tables import Charge, Declaration


async def declare(inside: Services, call: Call, charge_id: str, wanted: Wanted) -> JSONResponse:
    """The answer to a declaration call, first or repeated. Raises Problem."""
    made: list[tuple[Declaration, DeclarationStanding]] = []

    async def act(change: Change) -> None:
        asked = await declarations.ask(change, charge_id, wanted)
        made.append((asked, await declarations.standing(change.session, asked, change.agreement)))

    async def show(_: Change) -> dict[str, Any]:
        return views.declaration(made[0][0]).model_dump(mode="json")

    async with inside.database.transaction() as session:
        charge = await reads.find(session, Charge, call.principal, charge_id)
        if charge is None:
            raise not_found("charge")
        agreement_id = charge.agreement_id
    change, answer = await commands.once(inside, call, agreement_id, act, show, 201)
    if change is not None:
        await telling.declared(inside, made[0][1])
    return answer
