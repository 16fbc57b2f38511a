"""The Pivot sandbox: Pivot's real protocol over HTTP, its pages, and a back door for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.admin import BackDoor
from sandbox.agenda import Agenda
from sandbox.database import Database, Kept
from sandbox.faults import Faults
from sandbox.notifier import Notifier
from sandbox.pivot import customers, methods
from sandbox.pivot.admin import Admin
from sandbox.pivot.answers import failed
from sandbox.pivot.charges import Charges
from sandbox.pivot.gateway import Gateway, Operation
from sandbox.pivot.messages import (
    CancelRequest,
    CaptureRequest,
    ConfirmRequest,
    CreateRequest,
    ListQuery,
    Nothing,
    RefundRequest,
    SimulationRequest,
)
from sandbox.pivot.notices import Notices, dialect
from sandbox.pivot.pages import Pages
from sandbox.pivot.payers import Payers
from sandbox.pivot.refunds import Refunds
from sandbox.pivot.sessions import Sessions
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import Client
from sandbox.server import running

KEPT_ON_RESET = frozenset({Client.__tablename__, Kept.__tablename__})


def create_app(database: Path, *, settings: PivotSettings | None = None) -> FastAPI:
    """The sandbox with its state in the SQLite file `database`."""
    settings = settings or PivotSettings()
    books = Database(database)
    with books.begin() as session:
        faults = Faults(session)
    agenda = Agenda(books, settings.speed)
    notifier = Notifier(books, agenda, faults, dialect(books, settings.resend), settings.notification_delay)
    notices = Notices(notifier)
    charges = Charges(settings, agenda, notices)
    payers = Payers(settings, charges)
    sessions = Sessions(settings, agenda, charges, payers)
    refunds = Refunds(settings, agenda, notices, charges)
    gateway = Gateway(books, agenda, faults, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(agenda.run()):
            yield
        await notifier.http.aclose()
        books.close()

    app = FastAPI(title="Pivot sandbox", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(HTTPException, _no_such_route)
    app.include_router(BackDoor(books, agenda, faults, KEPT_ON_RESET).router())
    app.include_router(Admin(books, agenda, charges, notices).router())
    app.include_router(Pages(books, charges, payers, notifier, settings).router())
    app.add_route("/v1/access-token", gateway.issue_token, methods=["POST"])
    for path, operation in _reads(sessions, refunds).items():
        app.add_route(path, gateway.endpoint(operation), methods=["GET"])
    for path, operation in _writes(sessions, refunds).items():
        app.add_route(path, gateway.endpoint(operation), methods=["POST"])
    return app


def _reads(sessions: Sessions, refunds: Refunds) -> dict[str, Operation]:
    return {
        "/v1/customers/{id}": Operation(Nothing, customers.retrieve),
        "/v1/refunds": Operation(ListQuery, refunds.search),
        "/v1/refunds/{id}": Operation(Nothing, refunds.read),
        "/v2/charges": Operation(ListQuery, sessions.search_charges),
        "/v2/payment-method-configs": Operation(Nothing, methods.configs),
        "/v2/payments": Operation(ListQuery, sessions.search),
        "/v2/payments/{id}": Operation(Nothing, sessions.read),
    }


def _writes(sessions: Sessions, refunds: Refunds) -> dict[str, Operation]:
    return {
        "/v1/refunds": Operation(RefundRequest, refunds.refund),
        "/v2/payments": Operation(CreateRequest, sessions.create, creates_payment=True),
        "/v2/payments/simulations": Operation(SimulationRequest, sessions.simulate),
        "/v2/payments/{id}/cancel": Operation(CancelRequest, sessions.cancel),
        "/v2/payments/{id}/capture": Operation(CaptureRequest, refunds.capture),
        "/v2/payments/{id}/confirm": Operation(ConfirmRequest, sessions.confirm),
    }


async def _no_such_route(request: Request, error: Exception) -> Response:
    """Pivot's envelope on Pivot's paths, FastAPI's own in the back door."""
    if not isinstance(error, HTTPException):
        raise error
    if request.url.path.startswith("/_sandbox/"):
        return JSONResponse({"detail": error.detail}, error.status_code)
    answer = failed("method_not_allowed" if error.status_code == 405 else "not_found")
    return JSONResponse(answer.body, answer.status)
