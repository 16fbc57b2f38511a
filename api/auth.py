"""Bearer keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from api.services import Inside
from store import merchants
from store.merchants import Principal

_bearer = HTTPBearer(auto_error=False, description="A secret key: `sk_test_…` or `sk_live_…`.")


async def _principal(
    inside: Inside, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    if given is None or not given.credentials:
        raise _refused("the Authorization header holds no bearer key")
    async with inside.database.transaction() as session:
        found = await merchants.principal_for(session, given.credentials)
    if found is None:
        raise _refused("the key is not known here")
    return found


def _refused(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="autodebit"'})


Caller = Annotated[Principal, Depends(_principal)]
