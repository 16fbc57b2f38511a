"""Card changes asked for by merchants and customers, and the customer's way to the provider's page."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.card_changes import LIFE, OPEN, CardChangeStatus, Initiator
from agreements.consents import How
from agreements.status import AgreementStatus, ChargeStatus
from store import card_changes, consents, first_payments, open_links
from store.card_changes import Links
from store.changes import Change
from store.creation import page_wanted
from store.lifecycle import Conflict
from store.tables import Authorization, CardChange, Charge
from store.vault import Vault


async def request(
    change: Change, links: Links, initiator: Initiator, return_url: str | None, reason: str | None = None
) -> CardChange:
    """A new link, in place of one that is open. Raises Conflict unless the agreement runs."""
    agreement = change.agreement
    if agreement.ended or agreement.credential_id is None:
        status = agreement.ended or AgreementStatus.PENDING_AUTHORIZATION
        raise Conflict(f"an agreement that is {status} has no card to change")
    await card_changes.expire(change, "replaced")
    await change.session.flush()
    waiting = await _waiting(change)
    deadlines = [charge.act_by for charge in waiting if charge.act_by is not None]
    return await card_changes.write(
        change,
        links,
        initiator=initiator,
        expires_at=max([change.now + LIFE, *deadlines]),
        reason=agreement.action_required or reason,
        charge=waiting[0] if waiting else None,
        return_url=return_url,
    )


async def find(session: AsyncSession, vault: Vault, token: str) -> CardChange | None:
    """The card change a link belongs to."""
    query = select(CardChange).where(CardChange.link_hash == vault.fingerprint(token))
    return (await session.exec(query)).first()


async def open_page(change: Change, vault: Vault, card_change: CardChange) -> Authorization | None:
    """Asks for a page of the provider for the customer, or None if the link does not work any more.

    Pages opened before keep working, for the customer may come back to one. Where the proof is a payment there is one
    page at a time, and the payment is written down before it is asked for.
    """
    if card_change.status not in OPEN or card_change.expires_at <= change.now:
        return None
    card_change.status = CardChangeStatus.OPENED
    card_change.opened_at = card_change.opened_at or change.now
    by_payment = first_payments.needed(change.agreement)
    for page in await open_links.pages(change.session, card_change):
        if by_payment or page.status in ("requested", "granted"):
            if page.status == "requested" and page.next_try_at is not None:
                # Who presses again asks a provider that did not answer again at once.
                page.next_try_at = min(page.next_try_at, change.now)
            return page
    authorization = page_wanted(change, vault, card_change.id)
    await consents.ask(change, vault, How.PORTAL if card_change.portal_link_id else How.PROVIDER_PAGE, authorization)
    if by_payment:
        await first_payments.with_new_card(change, authorization)
    return authorization


async def _waiting(change: Change) -> list[Charge]:
    query = select(Charge).where(
        Charge.agreement_id == change.agreement.id, Charge.status == ChargeStatus.ACTION_REQUIRED
    )
    return list(await change.session.exec(query.order_by(col(Charge.due_at), Charge.id)))
