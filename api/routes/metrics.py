"""`/metrics`: for the operator's Prometheus, and for nobody else who finds the API's port."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api.problems import Problem, not_found
from api.services import Inside
from telemetry.exposition import Exposition

# Not in the description: it is no merchant's.
router = APIRouter(tags=["operations"], include_in_schema=False)


@router.get("/metrics")
async def metrics(
    request: Request,
    inside: Inside,
    authorization: Annotated[str, Header()] = "",
    accept: Annotated[str, Header()] = "",
) -> Response:
    """This process's metrics, for the key of `AUTODEBIT_METRICS_KEY`; with none set, in dev only."""
    key = inside.settings.metrics_key
    if key is None and inside.settings.environment != "dev":
        raise not_found("page")
    if key is not None and not _is(authorization, f"Bearer {key.get_secret_value()}"):
        raise Problem(
            "unauthorized", "this needs the metrics key", headers={"WWW-Authenticate": 'Bearer realm="metrics"'}
        )
    body, content_type = await _exposition(request, inside).answer(accept)
    return Response(body, media_type=content_type)


def _is(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode(), expected.encode())


def _exposition(request: Request, inside: Inside) -> Exposition:
    """Made at the first scrape, on the loop that serves."""
    state = request.app.state
    if not hasattr(state, "exposition"):
        state.exposition = Exposition(inside.database)
    made: Exposition = state.exposition
    return made
