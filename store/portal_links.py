"""Links to the customer's own page: made for merchants, found by their token, opened once more for the way back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from store import clocks, ids
from store.changes import Change
from store.lifecycle import Conflict
from store.tables import Agreement, CardChange, PortalLink
from store.vault import Vault

_SEALED_AS = "portal_token"


@dataclass(frozen=True)
class Wanted:
    """What a merchant asks a link to be. `life` counts in the agreement's own time."""

    life: timedelta
    return_url: str | None
    language: str | None


async def make(change: Change, vault: Vault, wanted: Wanted) -> PortalLink:
    """A new link; those made before go on working. Raises Conflict before the customer has agreed."""
    if change.agreement.credential_id is None:
        raise Conflict("the customer has not agreed, so there is nothing to show")
    drawn = secrets.token_urlsafe(32)
    link = PortalLink(
        id=ids.new("ptl"),
        agreement_id=change.agreement.id,
        token_hash=vault.fingerprint(drawn),
        sealed_token=vault.seal(_SEALED_AS, drawn),
        return_url=wanted.return_url,
        language=wanted.language,
        expires_at=change.now + wanted.life,
    )
    change.session.add(link)
    return link


async def token_of(session: AsyncSession, vault: Vault, link_id: str) -> str | None:
    """What opens a link's page; None once the link is gone."""
    link = await session.get(PortalLink, link_id)
    return vault.open(_SEALED_AS, link.sealed_token) if link else None


async def find(session: AsyncSession, vault: Vault, token: str) -> PortalLink | None:
    """The link a token belongs to, which may have run out."""
    return (await session.exec(select(PortalLink).where(PortalLink.token_hash == vault.fingerprint(token)))).first()


async def works(session: AsyncSession, link: PortalLink) -> bool:
    """Whether its time has not run out."""
    agreement = await session.get_one(Agreement, link.agreement_id)
    return await clocks.now_for(session, agreement.test_clock_id) < link.expires_at


async def token_back(session: AsyncSession, vault: Vault, card_change: CardChange) -> str | None:
    """The token of the page a card change was asked for on; None if there is none or its link has run out."""
    link = await session.get(PortalLink, card_change.portal_link_id) if card_change.portal_link_id else None
    if link is None or not await works(session, link):
        return None
    return vault.open(_SEALED_AS, link.sealed_token)
