"""The front door: thin routes over the store and the workflows' client."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from temporalio.client import Client
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api import outages, problems
from api.access_log import AccessLog
from api.bodies import BodyLimit
from api.headers import Headers, of_every_answer
from api.heads import Heads
from api.limits import Limits
from api.openapi import ABOUT, describe, methods_at
from api.problems import Problem, ProblemDocument
from api.routes import (
    agreements,
    amending,
    card_changes,
    card_entry,
    charges,
    consents,
    credentials,
    declarations,
    events,
    health,
    metrics,
    notifications,
    payment_methods,
    portal,
    reference,
    refunds,
    returns,
    test_clocks,
    webhook_endpoints,
)
from api.services import Patience, Services
from settings import Settings
from store.database import Database
from store.pages import BadCursor
from store.vault import Vault
from telemetry import ledger

_log = structlog.get_logger(__name__)

# FastAPI's own would name addresses, which may hold codes and tokens; ours name routes.
_OURS: TelemetryConfig = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}

# Instead of FastAPI's own 422; what else may be refused is described in `api/openapi.py`.
_DOCUMENTED: dict[int | str, dict[str, Any]] = {422: {"model": ProblemDocument}}


def create_app(
    settings: Settings,
    database: Database,
    vault: Vault,
    temporal_client: Client,
    patience: Patience | None = None,
) -> FastAPI:
    """The application. Whoever makes it owns, and closes, what it is made of."""
    ledger.watch()
    app = FastAPI(
        title="autodebit",
        version="1",
        summary="Recurring payments: one durable workflow per agreement.",
        description=ABOUT,
        servers=[{"url": settings.public_url}],
        docs_url=None,  # their assets come from other hosts
        redoc_url=None,
        telemetry=_OURS,
        redirect_slashes=False,  # to an address made of the Host header, plain http behind a proxy: keys would follow
        responses=_DOCUMENTED,
    )
    app.state.services = Services(settings, database, vault, temporal_client, patience or Patience(), Limits(settings))
    for module in (
        agreements,
        amending,
        consents,
        card_changes,
        portal,
        charges,
        declarations,
        refunds,
        events,
        webhook_endpoints,
        test_clocks,
        payment_methods,
        credentials,
    ):
        app.include_router(module.router)
    for module in (notifications, returns, health, metrics, reference):
        app.include_router(module.router)
    app.include_router(card_changes.pages)
    app.include_router(card_entry.router)
    app.include_router(portal.pages)
    app.add_middleware(Heads)
    app.add_middleware(BodyLimit)
    app.add_middleware(Headers, always=of_every_answer(settings.public_url))
    app.add_middleware(AccessLog)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[str(each) for each in settings.trusted_proxies])
    _handle_errors(app, settings.public_url)
    describe(app)
    return app


def _handle_errors(app: FastAPI, public_url: str) -> None:
    always = of_every_answer(public_url)

    def answer(problem: Problem) -> JSONResponse:
        return problems.response(problem, public_url)

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> Response:
        return answer(error)

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == status.HTTP_405_METHOD_NOT_ALLOWED and (methods := methods_at(app, request.url.path)):
            headers["Allow"] = ", ".join(methods)
        return answer(problems.of_status(error.status_code, str(error.detail), headers))

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> Response:
        return answer(problems.of_validation(error))

    @app.exception_handler(BadCursor)
    async def _cursor(request: Request, error: BadCursor) -> Response:
        name = "after" if "after" in request.query_params else "cursor"  # the feed calls it so
        return answer(problems.invalid(f"/query/{name}", "not a cursor of this list"))

    async def _broken(request: Request, error: Exception) -> Response:
        away = outages.what_is_away(error)
        if away is not None:
            _log.warning("away", part=away, error=type(error).__name__)
            return answer(Problem("unavailable", f"{away} does not answer", headers={"Retry-After": "2"}))
        route = getattr(request.scope.get("route"), "path_format", "none")
        _log.error("unhandled", route=route, error=type(error).__name__, exc_info=error)
        failed = answer(Problem("internal_error", "the request could not be completed"))
        failed.headers.update(always)  # answered outside of the middleware
        return failed

    for kind in (*outages.RAISED, Exception):
        app.add_exception_handler(kind, _broken)
