"""Making an agreement: committed first, then started, then answered once (design §4)."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlmodel import col, select
from starlette.responses import JSONResponse

from agreements.status import AgreementStatus
from agreements.terms import spread
from api import idempotency as keys
from api import telling
from api.drafts import AgreementBody, checked
from api.problems import Problem
from api.services import Services
from store import clocks, creation, idempotency, standings, trail, views
from store.idempotency import Call
from store.tables import Agreement, Authorization, IdempotencyKey

_FIRST_LOOK, _SLOWEST_LOOK = 0.025, 0.2  # seconds


async def create(inside: Services, call: Call, body: AgreementBody) -> JSONResponse:
    """The answer to a create call, first or repeated. Raises Problem, and RPCError while Temporal is away."""
    try:
        agreement_id = await _commit(inside, call, body)
    except creation.ReferenceTaken as error:
        taken = Problem("reference_taken", f"another agreement has the reference {error}")
        return await keys.refuse(inside, call, taken)
    if agreement_id is not None:
        kept = await _answer(inside, call, agreement_id, wait=inside.patience.authorization.total_seconds())
        return JSONResponse(kept.answer, kept.status_code or 202)
    kept = await keys.first_answer(inside, call)
    if kept.status_code is None and kept.resource_id is not None:
        kept = await _answer(inside, call, kept.resource_id, wait=0)
    return keys.replay(kept)


async def _commit(inside: Services, call: Call, body: AgreementBody) -> str | None:
    """The new agreement's id, its row and the key's committed together; None when the key was taken before.

    Raises Problem and ReferenceTaken.
    """
    async with inside.database.transaction() as session:
        if taken := await idempotency.find(session, call):
            keys.check_same(taken, call)
            return None
        terms = spread(body.terms, inside.settings.debit_window_minutes)
        draft = await checked(session, call.principal, body.model_copy(update={"terms": terms}))
        if not await idempotency.reserve(session, call, draft.id):
            return None
        await creation.create(session, inside.vault, draft)
        trail.by_call(session, call.principal, draft.id, draft.id)
        return draft.id


async def _answer(inside: Services, call: Call, agreement_id: str, *, wait: float) -> IdempotencyKey:
    """Starts the workflow, which is harmless if it was started before, and keeps the first answer."""
    standing = await standings.current(inside.database, agreement_id)
    await telling.start(inside, standing)
    if standing.status is not AgreementStatus.PENDING_AUTHORIZATION:
        await telling.begun(inside, agreement_id)
    settled = await _settled(inside, agreement_id, wait)
    async with inside.database.transaction() as session:
        row = await session.get_one(Agreement, agreement_id)
        view = await views.agreement(session, row, await clocks.now_for(session, row.test_clock_id))
    answer: dict[str, Any] = view.model_dump(mode="json")
    return await keys.settle(inside, call, 201 if settled else 202, answer)


async def _settled(inside: Services, agreement_id: str, wait: float) -> bool:
    """Whether the provider's page, or its refusal, is there within `wait` seconds."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + wait, _FIRST_LOOK
    while not await _authorization_known(inside, agreement_id):
        if loop.time() + pause > deadline:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _SLOWEST_LOOK)
    return True


async def _authorization_known(inside: Services, agreement_id: str) -> bool:
    query = (
        select(Agreement.status, Authorization.status)
        .outerjoin(Authorization, col(Authorization.agreement_id) == Agreement.id)
        .where(Agreement.id == agreement_id)
    )
    async with inside.database.transaction() as session:
        rows = (await session.exec(query)).all()
    return any(status != AgreementStatus.PENDING_AUTHORIZATION or asked == "open" for status, asked in rows)
