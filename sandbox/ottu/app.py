"""The Ottu sandbox: Ottu's real protocol over HTTP, the customer's pages, and a back door for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from sandbox.admin import BackDoor
from sandbox.agenda import Agenda
from sandbox.database import Database, Kept
from sandbox.faults import Faults
from sandbox.notifier import Notifier
from sandbox.ottu.admin import ottu_router
from sandbox.ottu.cards import delete_card, list_cards
from sandbox.ottu.checkout import Checkout
from sandbox.ottu.debits import Debits
from sandbox.ottu.gateway import Gateway, Routes
from sandbox.ottu.inquiries import Inquiries
from sandbox.ottu.methods import list_methods
from sandbox.ottu.notices import Notices, dialect
from sandbox.ottu.operations import Operations
from sandbox.ottu.pages import Pages
from sandbox.ottu.payments import Payments
from sandbox.ottu.sessions import Sessions
from sandbox.ottu.settings import OttuSettings
from sandbox.ottu.state import Merchant
from sandbox.server import running

KEPT_ON_RESET = frozenset({Merchant.__tablename__, Kept.__tablename__})


def create_app(database: Path, *, settings: OttuSettings | None = None) -> FastAPI:
    """The sandbox with its state in the SQLite file `database`."""
    settings = settings or OttuSettings()
    books = Database(database)
    with books.begin() as session:
        faults = Faults(session)
    agenda = Agenda(books, settings.speed)
    notifier = Notifier(books, agenda, faults, dialect(settings), settings.notification_delay)
    notices = Notices(notifier)
    payments = Payments(agenda, notices)
    debits = Debits(payments, notices)
    sessions = Sessions(payments, debits)
    operations = Operations(settings, agenda, payments, notices)
    inquiries = Inquiries(payments, notices)
    routes: Routes = {
        "/b/checkout/v1/pymt-txn/": {"POST": sessions.create},
        "/b/checkout/v1/pymt-txn/{session_id}/": {
            "GET": sessions.retrieve,
            "PUT": sessions.replace,
            "PATCH": sessions.change,
        },
        "/b/pbl/v2/auto-debit/": {"POST": debits.charge},
        "/b/pbl/v2/payment/auto-debit/": {"POST": debits.charge},
        "/b/pbl/v2/payment-methods/": {"POST": list_methods},
        "/b/pbl/v2/card/": {"POST": list_cards, "GET": list_cards},
        "/b/pbl/v2/card/{token}/": {"DELETE": delete_card},
        "/b/pbl/v2/operation/": {"POST": operations.perform},
        "/b/pbl/v2/inquiry/": {"POST": inquiries.ask},
    }
    gateway = Gateway(books, agenda, faults, settings, routes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(agenda.run()):
            yield
        await notifier.http.aclose()
        books.close()

    app = FastAPI(title="Ottu sandbox", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(BackDoor(books, agenda, faults, KEPT_ON_RESET).router())
    app.include_router(ottu_router(books))
    app.include_router(Pages(books, payments, Checkout(payments, notices), notifier, settings).router())
    app.add_route("/b/{path:path}", gateway.serve, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return app
