"""The back door of the Ottu sandbox: merchants, and their customers' cards. No part of Ottu's API."""

from __future__ import annotations

import json
import secrets
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from sandbox import clocks
from sandbox.database import Database
from sandbox.ottu import scripts
from sandbox.ottu.messages import Text64, Text128, Url
from sandbox.ottu.settings import Instance
from sandbox.ottu.state import CAPITALS, Card, Link, Merchant, agreements_of


def _script(text: str) -> str:
    return ",".join(scripts.parse(text))


class UserBody(BaseModel):
    """Somebody who may sign in. `permissions` in Ottu's words, such as `Can add e-commerce payments`."""

    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, Field(pattern=r"^[^:]{1,64}$")]
    password: Text128
    permissions: list[str] = []


class MerchantBody(BaseModel):
    """A merchant's Ottu. Keys that are not given are made up once and stay; everything else is set anew each time."""

    model_config = ConfigDict(extra="forbid")

    merchant_id: Text64
    name: Text64 | None = None
    api_key: Text128 | None = None
    hmac_key: Text128 | None = None
    webhook_url: Url | None = None
    operations_webhook_url: Url | None = None
    users: list[UserBody] = []
    instance: Instance = Instance()


class ScriptBody(BaseModel):
    """What the next debits on a card do, in order; the last one repeats."""

    model_config = ConfigDict(extra="forbid")

    script: Annotated[str, AfterValidator(_script)]


def ottu_router(database: Database) -> APIRouter:
    """`/_sandbox/merchants` and `/_sandbox/credentials`."""
    router = APIRouter(prefix="/_sandbox")

    @router.post("/merchants")
    async def register(body: MerchantBody) -> dict[str, str]:
        with database.begin() as session:
            merchant = _registered(session, body)
            return {
                "merchant_id": merchant.merchant_id,
                "api_key": merchant.api_key,
                "hmac_key": merchant.hmac_key,
            }

    @router.get("/credentials")
    async def credentials() -> dict[str, list[dict[str, object]]]:
        with database.begin() as session:
            rows = session.scalars(select(Card).order_by(Card.created, text("rowid")))
            return {"data": [_shown(session, row) for row in rows]}

    @router.post("/credentials/{credential_id}/script")
    async def set_script(credential_id: str, body: ScriptBody) -> dict[str, object]:
        with database.begin() as session:
            card = _found(session, credential_id)
            card.script, card.position = body.script, 0
            return _shown(session, card)

    @router.post("/credentials/{credential_id}/revoke")
    async def revoke(credential_id: str) -> dict[str, object]:
        """The payer has the bank stop the debits: Ottu learns of it by the next decline only."""
        with database.begin() as session:
            card = _found(session, credential_id)
            card.revoked = True
            return _shown(session, card)

    @router.post("/credentials/{credential_id}/unlock")
    async def unlock(credential_id: str) -> dict[str, object]:
        """Ends the agreements a card is locked by, as Ottu's support does on request: there is no API for it."""
        with database.begin() as session:
            card = _found(session, credential_id)
            session.execute(delete(Link).where(Link.card_id == card.id))
            return _shown(session, card)

    return router


def _registered(session: Session, body: MerchantBody) -> Merchant:
    known = session.get(Merchant, body.merchant_id)
    api_key = body.api_key or (known.api_key if known else _api_key())
    holder = session.scalar(select(Merchant).where(Merchant.api_key == api_key))
    if holder is not None and holder is not known:
        raise HTTPException(409, "this API key is another merchant's")
    merchant = Merchant(
        merchant_id=body.merchant_id,
        name=body.name or body.merchant_id,
        api_key=api_key,
        hmac_key=body.hmac_key or (known.hmac_key if known else secrets.token_urlsafe(16)),
        webhook_url=body.webhook_url,
        operations_webhook_url=body.operations_webhook_url,
        users=json.dumps([user.model_dump() for user in body.users]),
        settings=body.instance.model_dump_json(),
    )
    return session.merge(merchant)


def _api_key() -> str:
    """In the form Ottu's keys were seen in: a prefix of eight characters, a dot, the secret."""
    return "".join(secrets.choice(CAPITALS) for _ in range(8)) + f".{secrets.token_urlsafe(24)}"


def _found(session: Session, credential_id: str) -> Card:
    card = session.get(Card, credential_id)
    if card is None:
        raise HTTPException(404, "no such credential")
    return card


def _shown(session: Session, card: Card) -> dict[str, object]:
    return {
        "id": card.id,
        "merchant_id": card.merchant_id,
        "customer_id": card.customer_id,
        "pg_code": card.pg_code,
        "brand": card.brand,
        "last4": card.number[-4:],
        "agreements": agreements_of(session, card),
        "token": card.token,
        "status": card.status(clocks.read(session, card.clock).now),
        "script": card.script,
        "expires_at": card.expires_at.isoformat(),
    }
