"""What a merchant's staff does by hand on Antom's portal, and what a bank does later: calls under `/_sandbox/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox import clocks
from sandbox.agenda import Agenda
from sandbox.antom.payments import Payments
from sandbox.antom.refunds import Refunds
from sandbox.antom.state import Payment, Refund
from sandbox.database import Database
from sandbox.notifier import NOTIFY, Notification


class PortalRefund(BaseModel):
    """How much to refund, in minor units; by default what is left."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[int, Field(gt=0)] | None = None


@dataclass
class Portal:
    """`/_sandbox/payments`, `/_sandbox/refunds` and what was told of them; `request_id` is the merchant's."""

    database: Database
    agenda: Agenda
    payments: Payments
    refunds: Refunds

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/_sandbox")
        router.add_api_route("/payments/{request_id}/refund", self.refund, methods=["POST"])
        router.add_api_route("/payments/{request_id}/cancel", self.cancel, methods=["POST"])
        router.add_api_route("/refunds/{request_id}/fail", self.fail, methods=["POST"])
        router.add_api_route("/notifications/{number}/resend", self.resend, methods=["POST"])
        return router

    async def refund(self, request_id: str, body: PortalRefund | None = None) -> dict[str, object]:
        """Gives a payment back, or part of it."""
        value = body.value if body else None
        with self.database.begin() as session:
            payment = _payment(session, request_id)
            made = self.refunds.on_portal(session, clocks.read(session, payment.clock), payment, value)
            if isinstance(made, str):
                raise HTTPException(409, made)
            shown: dict[str, object] = {"request_id": made.request_id, "value": made.value}
        self.agenda.wake()
        return shown

    async def cancel(self, request_id: str) -> dict[str, object]:
        """Cancels a payment in full."""
        with self.database.begin() as session:
            payment = _payment(session, request_id)
            if refusal := self.payments.on_portal(session, clocks.read(session, payment.clock), payment):
                raise HTTPException(409, refusal)
        self.agenda.wake()
        return {"request_id": request_id}

    async def fail(self, request_id: str) -> dict[str, object]:
        """The refund's money did not arrive."""
        with self.database.begin() as session:
            refund = session.scalar(select(Refund).where(Refund.request_id == request_id))
            if refund is None:
                raise HTTPException(404, "no such refund")
            self.refunds.bounce(session, clocks.read(session, refund.clock), refund)
        self.agenda.wake()
        return {"request_id": request_id}

    async def resend(self, number: int) -> dict[str, object]:
        """Sends a notification once more, whether or not it was acknowledged."""
        with self.database.begin() as session:
            message = session.get(Notification, number)
            if message is None:
                raise HTTPException(404, "no such notification")
            self.agenda.plan(session, clocks.read(session, message.clock), NOTIFY, str(number))
        return {"id": number}


def _payment(session: Session, request_id: str) -> Payment:
    payment = session.scalar(select(Payment).where(Payment.request_id == request_id))
    if payment is None:
        raise HTTPException(404, "no such payment")
    return payment
