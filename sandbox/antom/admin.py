"""The back door of the Antom sandbox: merchants' clients and the payers' credentials. No part of Antom's API."""

from __future__ import annotations

from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gateways.antom.signing import load_public_key
from sandbox import clocks
from sandbox.agenda import Agenda
from sandbox.antom import scripts
from sandbox.antom.authorizations import Authorizations
from sandbox.antom.customs import DeclarationScript
from sandbox.antom.keys import public_text
from sandbox.antom.messages import Text64, Url2048
from sandbox.antom.state import Client, Credential
from sandbox.database import Database


def _rsa_key(text: str) -> str:
    load_public_key(text)
    return text


def _script(text: str) -> str:
    return ",".join(scripts.parse(text))


class ClientBody(BaseModel):
    """A merchant's registration: its public key as base64 DER or PEM, its default notify URL, its name for people."""

    model_config = ConfigDict(extra="forbid")

    client_id: Text64
    public_key: Annotated[str, AfterValidator(_rsa_key)]
    notify_url: Url2048 | None = None
    name: Text64 | None = None


class ScriptBody(BaseModel):
    """What the next debits on a credential, or a client's next declarations, do, in order; the last one repeats."""

    model_config = ConfigDict(extra="forbid")

    script: Annotated[str, AfterValidator(_script)]


def antom_router(database: Database, agenda: Agenda, authorizations: Authorizations, key: RSAPrivateKey) -> APIRouter:
    """`/_sandbox/clients` and `/_sandbox/credentials`."""
    router = APIRouter(prefix="/_sandbox")

    @router.post("/clients")
    async def register(body: ClientBody) -> dict[str, str]:
        with database.begin() as session:
            session.merge(Client(body.client_id, body.public_key, body.notify_url, body.name or body.client_id))
        return {"client_id": body.client_id, "public_key": public_text(key)}

    @router.post("/clients/{client_id}/declarations/script")
    async def script_declarations(client_id: str, body: ScriptBody) -> dict[str, str]:
        with database.begin() as session:
            if session.get(Client, client_id) is None:
                raise HTTPException(404, "no such client")
            session.merge(DeclarationScript(client_id, body.script, position=0))
        return {"client_id": client_id, "script": body.script}

    @router.get("/credentials")
    async def credentials() -> dict[str, list[dict[str, object]]]:
        with database.begin() as session:
            return {
                "data": [_shown(session, row) for row in session.scalars(select(Credential).order_by(text("rowid")))]
            }

    @router.post("/credentials/{credential_id}/script")
    async def set_script(credential_id: str, body: ScriptBody) -> dict[str, object]:
        with database.begin() as session:
            credential = _found(session, credential_id)
            credential.script, credential.position = body.script, 0
            return _shown(session, credential)

    @router.post("/credentials/{credential_id}/revoke")
    async def revoke(credential_id: str) -> dict[str, object]:
        """The payer revokes in the wallet."""
        with database.begin() as session:
            credential = _found(session, credential_id)
            moment = clocks.read(session, credential.clock)
            authorizations.end(session, moment, credential, "cancelled by the customer in the wallet")
            shown = _shown(session, credential)
        agenda.wake()
        return shown

    return router


def _found(session: Session, credential_id: str) -> Credential:
    credential = session.get(Credential, credential_id)
    if credential is None:
        raise HTTPException(404, "no such credential")
    return credential


def _shown(session: Session, credential: Credential) -> dict[str, object]:
    return {
        "id": credential.id,
        "client_id": credential.client_id,
        "wallet": credential.wallet,
        "token": credential.access_token,
        "refresh_token": credential.refresh_token,
        "status": credential.status(clocks.read(session, credential.clock).now),
        "script": credential.script,
        "expires_at": credential.expires_at.isoformat(),
    }
