"""The steps that only tell: of a card change that still waits for its customer, of a credential that is running out."""

from __future__ import annotations

from temporalio import activity

from activities.contract import STEPS, StepInput
from activities.workbench import Workbench
from agreements import card_changes, expiry
from agreements.agenda import StepKind
from agreements.standing import Standing
from store import open_links, reminders, views
from store.tables import Credential


class Reminders:
    """Each is one event in the agreement's own time."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.REMIND])
    async def remind_of_card_change(self, step: StepInput) -> Standing:
        """The merchant's backend may write to the customer again; of reminders missed in an outage only the last."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            link = None if change.agreement.ended else await open_links.waiting(change.session, step.agreement_id)
            due = reminders.due_at(link) if link else None
            if link and due and due <= change.now < link.expires_at:
                link.reminders = card_changes.reminders_by(link.created_at, link.expires_at, change.now)
                shown = views.card_change(link).model_dump(mode="json")
                change.event("card_change.reminder", card_change=shown, number=link.reminders)
        return change.standing

    @activity.defn(name=STEPS[StepKind.WARN])
    async def warn_of_expiry(self, step: StepInput) -> Standing:
        """The card or token ends, and nothing can renew it but the customer. Silent where nothing is left to debit."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            agreement = change.agreement
            credential = await change.session.get(Credential, agreement.credential_id)
            due = reminders.warning_at(agreement, credential) if credential else None
            if credential and credential.token_expires_at and due and due <= change.now:
                agreement.warned_of = credential.id
                if expiry.needed_after(change.plan, credential.token_expires_at):
                    shown = await views.credential(change.session, credential, change.terms, change.now)
                    masked = shown.model_dump(mode="json")
                    change.event("credential.expiring", credential=masked, expires_at=masked["token_expires_at"])
        return change.standing
