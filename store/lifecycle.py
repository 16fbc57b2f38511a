"""How an agreement begins, halts and ends: each a change of its rows, whoever asks for it."""

from __future__ import annotations

from enum import StrEnum

from sqlmodel import col, select

from agreements.attempts import UNFINISHED
from agreements.status import AgreementStatus, AttemptStatus, ChargeStatus, Stop
from store import card_changes, cycles, first_payments, releases, views
from store.changes import Change
from store.tables import Attempt, Authorization, Credential


class Conflict(Exception):
    """The agreement's state does not allow what was asked; the message says why."""


class MissedCycles(StrEnum):
    """What becomes of cycles that fell due during a pause."""

    DROP = "drop"
    COLLECT = "collect"


async def activate(change: Change, credential: Credential) -> None:
    """The customer agreed: from here on cycles are collected."""
    change.agreement.credential_id = credential.id
    await cycles.write_missed(change)
    shown = await views.credential(change.session, credential, change.terms, change.now)
    change.event("agreement.authorized", warnings=shown.model_dump(mode="json")["warnings"])
    change.event("agreement.activated")


async def fail_authorization(change: Change, authorization: Authorization, status: str) -> None:
    """There is no consent and none will come: the agreement ends before it began.

    One that was to change the card ends nothing: the old credential stays in use (design promise 5).
    """
    authorization.status = status
    authorization.next_try_at = None
    authorization.expires_at = None
    if authorization.card_change_id is not None:
        # A code that was refused came too late or twice: the customer may follow the link again.
        if status == "failed" and authorization.code_notification_id is None:
            await card_changes.refused(change, authorization)
        return
    await _end(change, AgreementStatus.AUTHORIZATION_FAILED)
    change.event("agreement.authorization_failed", reason=status)


async def pause(change: Change, reason: str | None = None) -> None:
    """No debit until it is resumed. Raises Conflict unless the agreement is running."""
    agreement = change.agreement
    if agreement.ended or agreement.credential_id is None:
        raise Conflict(f"an agreement that is {agreement.status} cannot be paused")
    if agreement.stop is Stop.PAUSED:
        raise Conflict("the agreement is paused already")
    agreement.stop = Stop.PAUSED
    agreement.stopped_at = change.now
    change.event("agreement.paused", reason=reason)


async def resume(change: Change, missed: MissedCycles) -> None:
    """Ends a pause. Missed cycles are dropped, or collected: the oldest at once, the others at the minimum gap.

    Raises Conflict unless the agreement is paused.
    """
    agreement = change.agreement
    if agreement.stop is not Stop.PAUSED:
        raise Conflict(f"an agreement that is {agreement.status} cannot be resumed")
    agreement.stop = Stop.NONE
    agreement.stopped_at = None
    for charge in [*await cycles.missed_retries(change), *await cycles.write_missed(change)]:
        if missed is MissedCycles.DROP:
            await cycles.skip(change, charge, "missed while paused")
        else:
            charge.catch_up = True
            charge.next_attempt_at = change.now
    change.event("agreement.resumed", missed_cycles=missed.value)
    await complete_if_finished(change)


async def revoke(change: Change, *, initiator: str, reason: str | None, by_provider: bool = False) -> None:
    """Ends the agreement at once (design promise 4); repeating it changes nothing.

    What is in flight is brought to its end by the workflow, and the provider is told unless the news came from it.
    Raises Conflict when the agreement has already ended otherwise.
    """
    agreement = change.agreement
    if agreement.ended is AgreementStatus.REVOKED:
        if by_provider and agreement.revocation:
            agreement.revocation = {**agreement.revocation, "provider_status": "done"}
            agreement.revoke_at = None
            await releases.confirmed(change)
        return
    if agreement.ended:
        raise Conflict(f"an agreement that is {agreement.status} cannot be revoked")
    agreement.stop = Stop.REVOKED
    agreement.stopped_at = change.now
    await _end(change, AgreementStatus.REVOKED)
    tell = await releases.revoked(change, by_provider=by_provider)
    agreement.revoke_at = change.now if tell else None
    agreement.revocation = {
        "requested_at": change.now.isoformat(),
        "initiator": initiator,
        "reason": reason,
        "provider_status": "pending" if tell else "done" if by_provider else "not_needed",
    }
    await _close_authorizations(change)
    await _cancel_open_charges(change)
    change.event("agreement.revoked")


def give_up(change: Change, credential: Credential) -> None:
    """A token nobody waits for any more: the provider is told to end it (design promise 4)."""
    agreement = change.agreement
    if agreement.credential_id is not None or agreement.ended is not AgreementStatus.REVOKED:
        releases.retire(change, credential)
    elif agreement.revocation:
        agreement.credential_id = credential.id
        agreement.revoke_at = change.now
        agreement.revocation = {**agreement.revocation, "provider_status": "pending"}
        credential.status = "replaced"


async def expire(change: Change) -> None:
    """The expiry date has passed: nothing may be collected any more."""
    for charge in await cycles.open_charges(change):
        if charge.status in (ChargeStatus.SCHEDULED, ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED):
            await cycles.drop_prepared(change, charge)
            charge.status = ChargeStatus.FAILED
            charge.next_attempt_at = None
            change.event("charge.failed", charge, reason="the agreement expired")
    await _end(change, AgreementStatus.EXPIRED)
    change.event("agreement.expired")


async def complete_if_finished(change: Change) -> None:
    """Ends an agreement whose every cycle is paid, failed or skipped."""
    await change.session.flush()
    if not change.agreement.ended and await cycles.all_finished(change):
        await _end(change, AgreementStatus.COMPLETED)
        change.event("agreement.completed")


async def _end(change: Change, status: AgreementStatus) -> None:
    change.agreement.ended = status
    change.agreement.ended_at = change.now
    change.agreement.action_required = None
    await card_changes.expire(change, "the agreement ended")
    if status is not AgreementStatus.REVOKED:
        await releases.ended(change)


async def _close_authorizations(change: Change) -> None:
    query = select(Authorization).where(
        Authorization.agreement_id == change.agreement.id,
        col(Authorization.status).in_(("requested", "open", "granted")),
    )
    for authorization in await change.session.exec(query):
        if not await first_payments.close(change, authorization):
            authorization.status = "canceled"
            authorization.next_try_at = None


async def _cancel_open_charges(change: Change) -> None:
    """Charges that were never sent are canceled; an attempt in flight is looked at now, and canceled there."""
    query = select(Attempt).where(
        Attempt.agreement_id == change.agreement.id,
        col(Attempt.status).in_((*UNFINISHED, AttemptStatus.PREPARED)),
    )
    in_flight: set[str] = set()
    for attempt in await change.session.exec(query):
        if attempt.status is AttemptStatus.PREPARED:
            attempt.status = AttemptStatus.CANCELED
            attempt.finished_at = change.now
            continue
        in_flight.add(attempt.charge_id)
        if attempt.authorization_id is None:
            attempt.next_look_at = change.now  # what is being paid on a page is found out as the page is closed
    for charge in await cycles.open_charges(change):
        if charge.id not in in_flight:
            cycles.cancel(change, charge)
