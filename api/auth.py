"""Bearer keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from api.problems import Problem
from api.services import Inside
from store import merchants
from store.merchants import Principal

bearer = HTTPBearer(auto_error=False, description="A secret key: `sk_test_…` or `sk_live_…`.")


async def _principal(request: Request, inside: Inside) -> Principal:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _refused("the Authorization header holds no bearer key")
    async with inside.database.transaction() as session:
        found = await merchants.principal_for(session, key.strip())
    if found is None:
        raise _refused("the key is not known here")
    return found


def _refused(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="autodebit"'})


Caller = Annotated[Principal, Depends(_principal)]
