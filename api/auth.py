"""Bearer keys: whose call it is, in which mode, and whether there is still one left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.peers import Peer, peer
from api.problems import Problem
from api.services import Inside
from store import api_keys
from store.actors import Actor
from store.merchants import Principal
from store.tables import ApiKey

_bearer = HTTPBearer(auto_error=False, description="A secret key: `sk_test_…` or `sk_live_…`.")


async def _principal(
    request: Request, inside: Inside, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    caller, limits = peer(request), inside.limits
    if given is None or not given.credentials:
        limits.failed(request, caller.ip, None)
        raise _refused("the Authorization header holds no bearer key")
    key_hash = api_keys.hashed(given.credentials)
    limits.before(request, caller.ip, key_hash)
    try:
        async with inside.database.transaction() as session:
            key = await api_keys.recognise(session, given.credentials, datetime.now(UTC))
    except api_keys.KeyRefused as error:
        limits.failed(request, caller.ip, key_hash)
        raise _refused(str(error)) from None
    limits.worked(request, key_hash, key.livemode)
    return Principal(key.merchant_id, key.livemode, _actor(request, caller, key))


def _actor(request: Request, caller: Peer, key: ApiKey) -> Actor:
    """Who calls, as the trail keeps it. Bodies have been read by now, not checked; only checked calls get that far."""
    body = getattr(request.state, "json", None)
    reason = body.get("reason") if isinstance(body, dict) else None
    route = getattr(request.scope.get("route"), "path_format", "")
    return Actor(
        "api",
        f"{request.method} {route}",
        who=key.id,
        ip=caller.ip,
        user_agent=caller.user_agent,
        reason=reason if isinstance(reason, str) else None,
    )


def _refused(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="autodebit"'})


Caller = Annotated[Principal, Depends(_principal)]
