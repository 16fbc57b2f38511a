"""`Idempotency-Key` on starred calls: the header, the fingerprint of a call, and answering a repeat (design §4).

The rows are in `store/idempotency.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.responses import JSONResponse

from api import problems
from api.auth import Caller
from api.problems import KINDS, MEDIA_TYPE, Problem
from api.services import Services
from store import idempotency
from store.idempotency import Call
from store.tables import IdempotencyKey

REPLAYED = {"Idempotency-Replayed": "true"}
_KEY = re.compile(r'"(?:[ !#-\[\]-~]|\\["\\]){1,255}"|[!#-~][ -~]{0,254}')
"""A string of RFC 9651 as in the IETF draft, or the bare text most clients send. Either is compared as it came."""
_KEPT = (409, 422)
"""Refusals that are answers: by the state of things, once a call was understood (docs/api-conventions.md)."""
_FIRST_LOOK, _SLOWEST_LOOK = 0.02, 0.25  # seconds


async def _call(
    request: Request,
    caller: Caller,
    idempotency_key: Annotated[
        str | None, Header(description="One fresh key per operation; a repeat with it gets the first answer again.")
    ] = None,
) -> Call:
    """The starred call a request makes. Raises the 400 problems of a missing or invalid key."""
    if idempotency_key is None:
        raise Problem("idempotency_key_missing", "this call needs an Idempotency-Key header")
    if not _KEY.fullmatch(idempotency_key):
        raise Problem("idempotency_key_invalid", "a key is 1 to 255 printable ASCII characters, in quotes or without")
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise Problem("idempotency_key_invalid", "the header is there more than once")
    asked = [request.method, request.url.path, request.state.json]
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return Call(caller, idempotency_key, hashlib.sha256(canonical.encode()).hexdigest())


Starred = Annotated[Call, Depends(_call)]


def check_same(row: IdempotencyKey, call: Call) -> IdempotencyKey:
    """The row if it belongs to this very call. Raises the 422 problem if the key was used for another."""
    if row.fingerprint != call.fingerprint:
        raise Problem("idempotency_key_reused", "the key was first used with another method, path or body")
    return row


def replay(row: IdempotencyKey) -> JSONResponse:
    """The first answer again."""
    if row.status_code is None:
        raise RuntimeError("nothing was answered yet")
    media_type = MEDIA_TYPE if row.status_code >= 400 else None
    return JSONResponse(row.answer, row.status_code, headers=REPLAYED, media_type=media_type)


async def refuse(inside: Services, call: Call, problem: Problem) -> JSONResponse:
    """Keeps a refusal that is an answer, and raises it; the answer that stands where another call was first.

    Without this a call refused today could go through when its repeat happens to arrive tomorrow.
    """
    kind = KINDS[problem.code]
    if kind.status in _KEPT:
        document = problems.document(problem, inside.settings.public_url)
        async with inside.database.transaction() as session:
            kept = await idempotency.reserve(session, call, None, kind.status, document)
        if not kept:
            return replay(await first_answer(inside, call))
    raise problem


async def first_answer(inside: Services, call: Call) -> IdempotencyKey:
    """Waits for whoever took the key, without holding a connection: the row with its answer, or without one if that
    caller has died. Raises 409 when the wait is over, 422 when the key belongs to another call.
    """
    patience = inside.patience
    pause = _FIRST_LOOK
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.same_key.total_seconds()
    while True:
        async with inside.database.transaction() as session:
            row = await idempotency.find(session, call)
        if row is None:
            raise RuntimeError("a key that was taken is gone")
        check_same(row, call)
        if row.status_code is not None or idempotency.abandoned(row, patience.abandoned):
            return row
        if loop.time() + pause > deadline:
            raise Problem("idempotency_key_in_use", "the first call with this key still runs", headers=_LATER)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _SLOWEST_LOOK)


_LATER = {"Retry-After": "2"}


async def settle(inside: Services, call: Call, status_code: int, answer: dict[str, Any]) -> IdempotencyKey:
    """Keeps the answer unless another caller has kept one meanwhile; the row that stands."""
    async with inside.database.transaction() as session:
        await idempotency.keep_answer(session, call, status_code, answer)
        row = await idempotency.find(session, call)
    if row is None:
        raise RuntimeError("a key that was taken is gone")
    return row
