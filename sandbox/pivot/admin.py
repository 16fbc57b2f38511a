"""The back door of the Pivot sandbox: accounts, stored methods, reviews, callbacks. No part of Pivot's API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sandbox import clocks
from sandbox.agenda import Agenda
from sandbox.database import Database
from sandbox.notifier import NOTIFY, Notification
from sandbox.pivot import cards, scripts
from sandbox.pivot.charges import Charges
from sandbox.pivot.notices import Notices
from sandbox.pivot.state import Card, Client, Contract, PaymentSession, StoredMethod, charge_of, new_id

Text64 = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Body = dict[str, Any]


def _script(text: str) -> str:
    return ",".join(scripts.parse(text))


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClientBody(_Form):
    """A merchant's registration, as the dashboard would hold it."""

    client_id: Text64
    client_secret: Text64
    callback_url: Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://\S+$")] | None = None
    callback_api_key: Text64 = "callback-api-key"
    name: Text64 | None = None
    recurring_profile: Literal["customer_present", "token_never", "recurring_contract"] = "customer_present"


class ScriptBody(_Form):
    """What the next debits on a stored method do, in order; the last one repeats. Empty: what its card does."""

    script: Annotated[str, AfterValidator(_script)]


class StatusBody(_Form):
    """Whether a token can be used."""

    status: Literal["ACTIVE", "INACTIVE"]


class DecisionBody(_Form):
    """Of a review by the risk engine."""

    decision: Literal["approve", "reject"]


class ContractBody(_Form):
    """For whom a recurringId is minted."""

    client_id: Text64


@dataclass
class Admin:
    """What `/_sandbox/` has for Pivot beyond what all gateways have."""

    database: Database
    agenda: Agenda
    charges: Charges
    notices: Notices

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/_sandbox")
        router.add_api_route("/credentials", self.credentials, methods=["GET"])
        posts: dict[str, Callable[..., Awaitable[Body]]] = {
            "/clients": self.register,
            "/credentials/{credential_id}/script": self.script,
            "/credentials/{credential_id}/revoke": self.revoke,
            "/credentials/{credential_id}/status": self.status,
            "/sessions/{session_id}/review": self.review,
            "/sessions/{session_id}/forge": self.forge,
            "/notifications/{number}/resend": self.resend,
            "/recurring": self.mint,
        }
        for path, endpoint in posts.items():
            router.add_api_route(path, endpoint, methods=["POST"])
        return router

    async def register(self, body: ClientBody) -> Body:
        """Also changes a registration; its tokens and payments stay."""
        client = Client(
            body.client_id,
            body.client_secret,
            body.name or body.client_id,
            body.callback_url,
            body.callback_api_key,
            body.recurring_profile,
        )
        with self.database.begin() as session:
            session.merge(client)
        return {"client_id": body.client_id, "recurring_profile": body.recurring_profile}

    async def credentials(self) -> dict[str, list[Body]]:
        """Every stored method, oldest first."""
        with self.database.begin() as session:
            rows = session.scalars(select(StoredMethod).order_by(text("rowid")))
            return {"data": [_shown(session, row) for row in rows]}

    async def script(self, credential_id: str, body: ScriptBody) -> Body:
        """What the next debits on a stored method do."""
        with self.database.begin() as session:
            method = _method(session, credential_id)
            method.script, method.position = body.script, 0
            return _shown(session, method)

    async def revoke(self, credential_id: str) -> Body:
        """The payer has the token taken away. Pivot tells nobody."""
        return await self.status(credential_id, StatusBody(status="INACTIVE"))

    async def status(self, credential_id: str, body: StatusBody) -> Body:
        """Makes a token usable, or not."""
        with self.database.begin() as session:
            method = _method(session, credential_id)
            method.status = body.status
            return _shown(session, method)

    async def review(self, session_id: str, body: DecisionBody) -> Body:
        """What the people behind the risk engine decide."""
        with self.database.begin() as session:
            payment = _session(session, session_id)
            charge = charge_of(session, payment)
            if charge is None or charge.status != "PROCESSING":
                raise HTTPException(409, "there is nothing to review")
            approved = body.decision == "approve"
            charge.failure, charge.issuer = (None, "00") if approved else ("BLOCKED_BY_FDS", None)
            self.charges.decide(session, clocks.read(session, payment.clock), payment, charge)
        return {"status": payment.status}

    async def forge(self, session_id: str) -> Body:
        """Sends the opposite of the truth about a payment, with a wrong key."""
        with self.database.begin() as session:
            payment = _session(session, session_id)
            moment = clocks.read(session, payment.clock)
            return {"notification": self.notices.forge(session, moment, payment)}

    async def resend(self, number: int) -> Body:
        """A callback sent again by hand, as from the dashboard's Callback History."""
        with self.database.begin() as session:
            row = session.get(Notification, number)
            if row is None:
                raise HTTPException(404, "no such notification")
            self.agenda.plan(session, clocks.read(session, row.clock), NOTIFY, str(number))
        return {"notification": number}

    async def mint(self, body: ContractBody) -> Body:
        """A recurringId; how a merchant really gets one is not published."""
        contract = Contract(new_id(), body.client_id)
        with self.database.begin() as session:
            session.add(contract)
        return {"recurringId": contract.id}


def _session(session: Session, session_id: str) -> PaymentSession:
    payment = session.scalar(select(PaymentSession).where(PaymentSession.id == session_id))
    if payment is None:
        raise HTTPException(404, "no such session")
    return payment


def _method(session: Session, credential_id: str) -> StoredMethod:
    method = session.get(StoredMethod, credential_id)
    if method is None:
        raise HTTPException(404, "no such credential")
    return method


def _shown(session: Session, method: StoredMethod) -> Body:
    """A token lives as long as its card; that of a wallet has no end."""
    card = session.get(Card, method.card_id) if method.card_id else None
    expires_at = cards.expires_at(card.month, card.year) if card else None
    expired = expires_at is not None and clocks.read(session, method.clock).now >= expires_at
    status = "revoked" if method.status != "ACTIVE" else "expired" if expired else "active"
    return {
        "id": method.id,
        "client_id": method.client_id,
        "customer_id": method.customer_id,
        "type": method.type,
        "channel": method.channel,
        "last4": card.number[-4:] if card else None,
        "token": method.token,
        "status": status,
        "script": method.script or "success",
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
