"""Starred changes of an agreement: committed on its row first, then told to its workflow (design promise 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import JSONResponse

from api import idempotency as keys
from api import telling
from api.problems import FieldError, Problem, invalid, not_found
from api.services import Services
from store import idempotency, reads, trail, views
from store.changes import Change, changing
from store.idempotency import Call
from store.lifecycle import Conflict
from store.refusals import NeedsNewAuthorization, NoSuchCycle, Refused
from store.tables import IdempotencyKey
from workflows.messages import Command


class _Answered(Exception):
    """Somebody else was first with this key; their change stands, and ours is rolled back."""

    def __init__(self, row: IdempotencyKey | None) -> None:
        self.row = row


async def run(
    inside: Services, call: Call, agreement_id: str, name: Command, act: Callable[[Change], Awaitable[None]]
) -> JSONResponse:
    """Changes the agreement and answers it, or gives the first answer again. Raises Problem."""

    async def show(change: Change) -> dict[str, Any]:
        view = await views.agreement(change.session, change.agreement, change.now)
        return view.model_dump(mode="json")

    change, answer = await once(inside, call, agreement_id, act, show)
    if change is not None:
        await telling.changed(inside, change.standing, change.delivery_ids, name, _command_id(call))
    return answer


async def once(
    inside: Services,
    call: Call,
    agreement_id: str,
    act: Callable[[Change], Awaitable[None]],
    show: Callable[[Change], Awaitable[dict[str, Any]]],
    status_code: int = 200,
) -> tuple[Change | None, JSONResponse]:
    """The change that was committed, and its answer; without a change where the first answer is given again.

    `show` is called once the change is complete, in its transaction. A refusal by the state of things is an answer
    too, and kept. Raises Problem.
    """
    try:
        with refusals():
            return await _changed(inside, call, agreement_id, act, show, status_code)
    except _Answered as first:
        kept = keys.check_same(first.row, call) if first.row else await keys.first_answer(inside, call)
        return None, keys.replay(kept)
    except Problem as problem:
        return None, await keys.refuse(inside, call, problem)


async def _changed(
    inside: Services,
    call: Call,
    agreement_id: str,
    act: Callable[[Change], Awaitable[None]],
    show: Callable[[Change], Awaitable[dict[str, Any]]],
    status_code: int,
) -> tuple[Change, JSONResponse]:
    async with inside.database.transaction() as session:
        if not await reads.owns_agreement(session, call.principal, agreement_id):
            raise not_found("agreement")
        async with changing(session, agreement_id) as change:
            if taken := await idempotency.find(session, call):
                session.expunge(taken)  # it outlives the rollback
                raise _Answered(taken)
            await act(change)
        answer = await show(change)
        trail.by_call(session, call.principal, str(answer.get("id", agreement_id)), agreement_id)
        if not await idempotency.reserve(session, call, agreement_id, status_code, answer):
            raise _Answered(None)
    return change, JSONResponse(answer, status_code)


@contextmanager
def refusals() -> Iterator[None]:
    """What the store refuses, as problems."""
    try:
        yield
    except NeedsNewAuthorization as error:
        errors = [FieldError(pointer=each.pointer, detail=each.reason) for each in error.needed]
        raise Problem("new_authorization_needed", str(error), errors) from error
    except Refused as error:
        raise invalid(error.pointer, str(error)) from error
    except NoSuchCycle as error:
        raise not_found("cycle") from error
    except Conflict as error:
        raise Problem("state_conflict", str(error)) from error


def _command_id(call: Call) -> str:
    """The same for every repeat of a call, so that a workflow takes a command up once."""
    owner = f"{call.principal.merchant_id} {call.principal.livemode} {call.key}"
    return "cmd_" + hashlib.sha256(owner.encode()).hexdigest()[:32]
