"""Card changes as rows: links handed out, expired, refused, and the swap to the new credential (design promise 5)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from agreements import collection, rulebook
from agreements.card_changes import OPEN, CardChangeStatus, Initiator
from agreements.declines import Decline
from agreements.status import AttemptStatus
from store import cycles, first_payments, ids, open_links, releases, views
from store.changes import Change
from store.tables import Attempt, Authorization, CardChange, Charge, Credential
from store.vault import Vault


@dataclass(frozen=True)
class Links:
    """Makes the addresses customers are sent to; only a keyed hash of a link's token is ever looked up."""

    vault: Vault
    public_url: str

    def draw(self) -> tuple[str, str]:
        """A fresh link: its address, and the hash it is found by."""
        token = secrets.token_urlsafe(32)
        return f"{self.public_url}/card-changes/{token}", self.vault.fingerprint(token)


async def ask(change: Change, links: Links, charge: Charge, reason: str) -> CardChange:
    """The engine's own link for a charge that waits for the customer; one that is open serves for it too."""
    until = charge.act_by or change.now
    found = await open_links.of(change.session, change.agreement.id)
    if found is None:
        return await write(change, links, initiator=Initiator.ENGINE, expires_at=until, reason=reason, charge=charge)
    found.expires_at = max(found.expires_at, until)
    found.charge_id = found.charge_id or charge.id
    found.reason = found.reason or reason
    return found


async def write(
    change: Change,
    links: Links,
    *,
    initiator: Initiator,
    expires_at: datetime,
    reason: str | None = None,
    charge: Charge | None = None,
    return_url: str | None = None,
) -> CardChange:
    """A new link. The agreement has no other open one."""
    url, link_hash = links.draw()
    card_change = CardChange(
        id=ids.new("ccr"),
        agreement_id=change.agreement.id,
        merchant_id=change.agreement.merchant_id,
        livemode=change.agreement.livemode,
        initiator=initiator,
        status=CardChangeStatus.PENDING,
        link_hash=link_hash,
        url=url,
        return_url=return_url,
        reason=reason,
        charge_id=charge.id if charge else None,
        expires_at=expires_at,
        created_at=change.now,
    )
    change.session.add(card_change)
    await change.session.flush()
    _tell(change, "card_change.requested", card_change)
    return card_change


async def expire(change: Change, reason: str) -> None:
    """The link that is open, if there is one, stops working; what was asked of the provider for it is dropped."""
    card_change = await open_links.of(change.session, change.agreement.id)
    if card_change is None:
        return
    await _finish(change, card_change, CardChangeStatus.EXPIRED)
    _tell(change, "card_change.expired", card_change, reason=reason)


async def refused(change: Change, authorization: Authorization) -> None:
    """The provider refused for good: the old credential stays in use, and the link is dead."""
    card_change = await change.session.get_one(CardChange, authorization.card_change_id)
    if card_change.status not in OPEN:
        return
    card_change.error = authorization.error
    await _finish(change, card_change, CardChangeStatus.FAILED)
    error = Decline.model_validate(card_change.error).model_dump(mode="json") if card_change.error else None
    _tell(change, "card_change.failed", card_change, decline=error)


async def swap(change: Change, card_change_id: str, credential: Credential) -> None:
    """The new credential is proven: from here on it is charged, overdue cycles first, and the old one is released.

    Where a payment is the proof, that payment is settled as the attempt it is before this is called. A link whose time
    ran out while the customer was on the provider's page counts: they have agreed.
    """
    agreement, session = change.agreement, change.session
    card_change = await session.get_one(CardChange, card_change_id)
    old = await session.get_one(Credential, agreement.credential_id)
    agreement.credential_id = credential.id
    agreement.action_required = None
    card_change.credential_id = credential.id
    await _finish(change, card_change, CardChangeStatus.COMPLETED)
    masked = {
        name: (await views.credential(session, each, change.terms, change.now)).model_dump(mode="json")
        for name, each in (("old_credential", old), ("credential", credential))
    }
    _tell(change, "card_change.completed", card_change, **masked, warnings=masked["credential"]["warnings"])
    await _hand_over(change, credential)
    for charge in await cycles.overdue(change):
        await renew(change, charge, credential)
    await releases.replaced(change, old)


async def renew(change: Change, charge: Charge, credential: Credential) -> None:
    """An overdue charge is due at once, with the new credential. None of its attempts is in flight."""
    query = select(Attempt).where(Attempt.charge_id == charge.id, Attempt.number > charge.attempts_made)
    for attempt in await change.session.exec(query):
        # Never sent: its number is the next one's, whatever became of it.
        if attempt.sent_at is None:
            attempt.status, attempt.finished_at = AttemptStatus.PREPARED, None
            _debit_from(attempt, credential)
    collection.renew(change, charge, rulebook.current().version)


async def _finish(change: Change, card_change: CardChange, status: CardChangeStatus) -> None:
    card_change.status = status
    card_change.finished_at = change.now
    for authorization in await open_links.pages(change.session, card_change):
        if not await first_payments.close(change, authorization):
            authorization.status = "canceled"
            authorization.next_try_at = None
            authorization.expires_at = None


async def _hand_over(change: Change, credential: Credential) -> None:
    """What was prepared and never sent is sent with the new credential: the gate reads it under the lock held here."""
    query = select(Attempt).where(
        Attempt.agreement_id == change.agreement.id,
        Attempt.status == AttemptStatus.PREPARED,
        col(Attempt.authorization_id).is_(None),
    )
    for attempt in await change.session.exec(query):
        _debit_from(attempt, credential)


def _debit_from(attempt: Attempt, credential: Credential) -> None:
    """What the provider opened for the old one is not used."""
    attempt.credential_id, attempt.fingerprint, attempt.payment_id = credential.id, credential.fingerprint, None


def _tell(change: Change, type_: str, card_change: CardChange, **details: Any) -> None:
    change.event(type_, card_change=views.card_change(card_change).model_dump(mode="json"), **details)
