"""`/healthz` and `/readyz`."""

from __future__ import annotations

import asyncio
from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse

from api.services import Inside

router = APIRouter(tags=["operations"])

_log = structlog.get_logger(__name__)

_WITHIN = 3.0  # seconds


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok"}


class Readiness(BaseModel):
    """Which of the parts answer: `ok` or `away`."""

    status: Literal["ok", "away"]
    postgresql: Literal["ok", "away"]
    temporal: Literal["ok", "away"]


@router.get(
    "/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "A part is away."}}
)
async def readyz(inside: Inside) -> JSONResponse:
    """PostgreSQL and Temporal answer; 503 tells which one does not."""
    parts = {"postgresql": inside.database.ping(), "temporal": inside.temporal.service_client.check_health()}
    found = await asyncio.gather(
        *(asyncio.wait_for(check, _WITHIN) for check in parts.values()), return_exceptions=True
    )
    away = [name for name, result in zip(parts, found, strict=True) if isinstance(result, BaseException)]
    if away:
        _log.warning("not_ready", away=away)
    status = {name: "away" if name in away else "ok" for name in parts}
    headers = {"Retry-After": "2"} if away else {}
    return JSONResponse({"status": "away" if away else "ok", **status}, 503 if away else 200, headers=headers)
