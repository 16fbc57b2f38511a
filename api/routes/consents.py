"""`/v1/agreements/{id}/consents`: the proof of what a customer agreed to, and how."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.consents import How, Sighting, digest
from agreements.views import CredentialView, View
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.problems import not_found
from api.routes.parameters import PAGE, Cursor, Limit
from api.services import Inside
from api.views import ListView
from store import clocks, consents, reads, views
from store.tables import Agreement, Consent, Credential
from store.vault import Vault

router = APIRouter(prefix="/v1/agreements", tags=["consents"], route_class=StrictRoute)


class ConsentView(View):
    """One consent, with everything that proves it. Personal data is in `sightings` and `text`."""

    id: str
    agreement: str
    how: How
    asked_at: datetime
    """When the customer was sent to agree, in the agreement's own time."""
    given_at: datetime
    """When the provider, or the merchant with a credential given before, had their consent."""
    shown: dict[str, Any]
    """What they agreed to: with whom, how they pay, and the complete terms as they were when they were asked."""
    shown_hash: str
    """SHA-256 of `shown` as canonical JSON (RFC 8785), in hexadecimal digits."""
    text: str | None
    """The words on the merchant's page, where the merchant handed them over."""
    text_hash: str | None
    """SHA-256 of `text` in UTF-8."""
    sightings: list[Sighting]
    """Where the customer was seen, by whom, in the order it was written down."""
    authorization: str | None
    """The request to the provider; null where a credential was used again."""
    card_change: str | None
    credential: CredentialView
    """What it led to, masked."""


@router.get("/{agreement_id}/consents")
async def list_(
    agreement_id: str, caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[ConsentView]:
    """Newest first: the agreement's own, and one for every card change that was completed."""
    async with inside.database.transaction() as session:
        agreement = await reads.find(session, Agreement, caller, agreement_id)
        if agreement is None:
            raise not_found("agreement")
        found = await consents.of_agreement(session, agreement, limit=limit, after=cursor)
        now = await clocks.now_for(session, agreement.test_clock_id)
        return shown.page(found, [await _view(session, inside.vault, row, now) for row in found.rows])


async def _view(session: AsyncSession, vault: Vault, row: Consent, now: datetime) -> ConsentView:
    seen = consents.evidence(vault, row)
    credential = await session.get_one(Credential, row.credential_id)
    return ConsentView.model_validate(
        {
            "id": row.id,
            "agreement": row.agreement_id,
            "how": row.how,
            "asked_at": row.asked_at,
            "given_at": row.given_at,
            "shown": row.shown,
            "shown_hash": row.shown_hash,
            "text": seen.text,
            "text_hash": digest(seen.text) if seen.text is not None else None,
            "sightings": seen.sightings,
            "authorization": row.authorization_id,
            "card_change": row.card_change_id,
            "credential": await views.credential(session, credential, None, now),
        }
    )
