"""The Antom sandbox: Antom's real protocol over HTTP, the wallet's pages, and a back door for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from sandbox.admin import BackDoor
from sandbox.agenda import Agenda
from sandbox.antom.admin import antom_router
from sandbox.antom.authorizations import Authorizations
from sandbox.antom.customs import Customs
from sandbox.antom.gateway import Gateway, Operations
from sandbox.antom.keys import sandbox_key
from sandbox.antom.messages import (
    ApplyTokenRequest,
    ConsultRequest,
    DeclarationKeys,
    DeclareRequest,
    PaymentKey,
    PayRequest,
    RefundKey,
    RefundRequest,
    RevokeRequest,
)
from sandbox.antom.notices import Notices, dialect
from sandbox.antom.pages import Pages
from sandbox.antom.payments import Payments
from sandbox.antom.portal import Portal
from sandbox.antom.refunds import Refunds
from sandbox.antom.settings import AntomSettings
from sandbox.antom.settlements import settlements_router
from sandbox.antom.state import Client
from sandbox.database import Database, Kept
from sandbox.faults import Faults
from sandbox.notifier import Notifier
from sandbox.server import OriginForm, running

KEPT_ON_RESET = frozenset({Client.__tablename__, Kept.__tablename__})


def create_app(database: Path, *, settings: AntomSettings | None = None) -> FastAPI:
    """The sandbox with its state in the SQLite file `database`; its RSA key lies beside it as a `.pem`."""
    settings = settings or AntomSettings()
    books = Database(database)
    key = sandbox_key(database.with_suffix(".pem"))
    with books.begin() as session:
        faults = Faults(session)
    agenda = Agenda(books, settings.speed)
    notifier = Notifier(books, agenda, faults, dialect(key, settings.resend), settings.notification_delay)
    notices = Notices(notifier)
    authorizations = Authorizations(settings, notices)
    payments = Payments(settings, agenda, notices, authorizations)
    refunds = Refunds(settings, agenda, notices)
    customs = Customs(settings, agenda)
    operations = _operations(authorizations, payments, refunds, customs)
    gateway = Gateway(books, agenda, faults, settings, key, operations)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(agenda.run()):
            yield
        await notifier.http.aclose()
        books.close()

    app = FastAPI(title="Antom sandbox", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(OriginForm)
    app.include_router(BackDoor(books, agenda, faults, KEPT_ON_RESET).router())
    app.include_router(antom_router(books, agenda, authorizations, key))
    app.include_router(Portal(books, agenda, payments, refunds).router())
    app.include_router(settlements_router(books))
    app.include_router(Pages(books, authorizations, notifier, settings).router())
    app.add_route("/ams/{operation:path}", gateway.serve, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return app


def _operations(authorizations: Authorizations, payments: Payments, refunds: Refunds, customs: Customs) -> Operations:
    return {
        "authorizations/consult": (ConsultRequest, authorizations.consult),
        "authorizations/applyToken": (ApplyTokenRequest, authorizations.apply_token),
        "authorizations/revoke": (RevokeRequest, authorizations.revoke),
        "payments/pay": (PayRequest, payments.pay),
        "payments/inquiryPayment": (PaymentKey, payments.inquire),
        "payments/cancel": (PaymentKey, payments.cancel),
        "payments/refund": (RefundRequest, refunds.refund),
        "payments/inquiryRefund": (RefundKey, refunds.inquire),
        "customs/declare": (DeclareRequest, customs.declare),
        "customs/inquiryDeclarationRequests": (DeclarationKeys, customs.inquire),
    }
