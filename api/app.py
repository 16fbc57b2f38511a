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

_ROUTERS = (
    # The description names the calls in this order.
    agreements.router,
    amending.router,
    consents.router,
    card_changes.router,
    portal.router,
    charges.router,
    declarations.router,
    refunds.router,
    events.router,
    webhook_endpoints.router,
    test_clocks.router,
    payment_methods.router,
    credentials.router,
    # What is no merchant's.
    notifications.router,
    returns.router,
    health.router,
    metrics.router,
    reference.router,
    card_changes.pages,
    card_entry.router,
    portal.pages,
)


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
    for router in _ROUTERS:
        app.include_router(router)
    _wrap(app, settings)
    _handle_errors(app, settings.public_url)
    describe(app)
    return app


def _wrap(app: FastAPI, settings: Settings) -> None:
    """What every request passes, the innermost first."""
    app.add_middleware(Heads)
    app.add_middleware(BodyLimit)
    app.add_middleware(Headers, always=of_every_answer(settings.public_url))
    app.add_middleware(AccessLog)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[str(each) for each in settings.trusted_proxies])


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
