"""What merchants are told in time: of a link their customer has not used, of a credential that is about to expire."""

from __future__ import annotations

from datetime import datetime

from agreements import card_changes, expiry
from agreements.card_changes import Initiator
from store.standing_facts import CredentialRow, LinkRow
from store.tables import Agreement, CardChange, Credential


def due_at(link: CardChange | LinkRow) -> datetime | None:
    """When the merchant hears of an open link again; never of one that the customer wished for."""
    if link.initiator == Initiator.CUSTOMER:
        return None
    return card_changes.reminder_at(link.created_at, link.expires_at, link.reminders + 1)


def warning_at(agreement: Agreement, credential: Credential | CredentialRow) -> datetime | None:
    """When to announce the end of the credential an agreement is charged with; once for each of them."""
    if agreement.ended or agreement.warned_of == credential.id:
        return None
    return expiry.warning_at(credential.token_expires_at, credential.refresh_at)
