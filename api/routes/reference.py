"""`/docs` and `/problems`: the pages for people."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api import reference
from api.problems import KINDS, not_found

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def calls(request: Request) -> HTMLResponse:
    """Every call; rendered at the first look, since the description never changes while the process runs."""
    state = request.app.state
    if not hasattr(state, "reference"):
        state.reference = reference.calls(request.app.openapi())
    return HTMLResponse(state.reference, headers=reference.HEADERS)


@router.get("/problems")
async def problems() -> HTMLResponse:
    """Every code."""
    return HTMLResponse(reference.problems(), headers=reference.HEADERS)


@router.get("/problems/{code}")
async def problem(code: str) -> HTMLResponse:
    """What a problem's `type` points to."""
    if code not in KINDS:
        raise not_found("problem")
    return HTMLResponse(reference.problem(code), headers=reference.HEADERS)
