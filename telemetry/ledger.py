"""Counts facts when they are committed: rows that are new in the ledger, or have come to another status.

Listening to the database's sessions, and not calling counters where decisions are taken, keeps the two apart and cannot
miss a way into the ledger: what a transaction wrote is counted after its commit, what was rolled back never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import event as listening
from sqlalchemy import inspect
from sqlalchemy.orm import Session, UOWTransaction
from sqlalchemy.orm.util import identity_key

from agreements.refunds import RefundStatus
from agreements.status import AttemptStatus
from store.tables import (
    Agreement,
    Attempt,
    Authorization,
    DecisionRecord,
    DeliveryAttempt,
    Event,
    GatewayAccount,
    Notification,
    Refund,
)
from telemetry import metrics
from telemetry.metrics import mode

Count = Callable[[], None]

_PENDING = "telemetry.pending"
_ENDED = (AttemptStatus.SUCCEEDED, AttemptStatus.FAILED, AttemptStatus.CANCELED, AttemptStatus.REVERSED)
_REFUND_ENDED = (RefundStatus.SUCCEEDED, RefundStatus.FAILED)
_CHARGE_ENDED = ("succeeded", "failed", "canceled", "reversed")
_REFRESHED = {"credential.refreshed": "succeeded", "credential.refresh_failed": "failed"}
_NOT_LOADED = ("unknown", "unknown")

_gateways: dict[str, str] = {}
"""By account: a message's row names only that, and the account was read just before, in a session of its own."""


def watch() -> None:
    """Begins to count what this process commits. A second call changes nothing."""
    if listening.contains(Session, "after_flush", _flushed):
        return
    listening.listen(Session, "after_flush", _flushed)
    listening.listen(Session, "after_commit", _committed)
    listening.listen(Session, "after_rollback", _rolled_back)
    listening.listen(GatewayAccount, "load", _remember)
    listening.listen(GatewayAccount, "refresh", _remember)


def _remember(account: GatewayAccount, *_: object) -> None:
    _gateways[account.id] = account.gateway


def _flushed(session: Session, _: UOWTransaction) -> None:
    pending: list[Count] = session.info.setdefault(_PENDING, [])
    for row in session.new:
        for facts in (_WRITTEN, _TURNED):
            if (found := facts.get(type(row))) is not None:
                pending.extend(found(session, row))
    for row in session.dirty:
        if (found := _TURNED.get(type(row))) is not None and _turned(row):
            pending.extend(found(session, row))


def _committed(session: Session) -> None:
    for count in session.info.pop(_PENDING, ()):
        count()


def _rolled_back(session: Session) -> None:
    session.info.pop(_PENDING, None)


def _turned(row: object) -> bool:
    """Whether the row's status is new with this flush."""
    return bool(inspect(row, raiseerr=True).attrs.status.history.added)


def _of_agreement(session: Session, agreement_id: str) -> tuple[str, str]:
    """Its gateway and mode. Whoever changes an agreement has locked, and so loaded, its row."""
    agreement: Agreement | None = session.identity_map.get(identity_key(Agreement, agreement_id))
    return _NOT_LOADED if agreement is None else (agreement.gateway, mode(agreement.livemode))


def _attempt(session: Session, row: Attempt) -> Iterator[Count]:
    whose = _of_agreement(session, row.agreement_id)
    if row.status is AttemptStatus.SENT:
        yield metrics.SENT.labels(*whose).inc
    elif row.status is AttemptStatus.UNKNOWN:
        yield metrics.UNKNOWN.labels(*whose).inc
    elif row.status in _ENDED:
        yield metrics.ATTEMPTS.labels(*whose, row.status.value, _category(row.decline)).inc


def _event(_: Session, row: Event) -> Iterator[Count]:
    yield metrics.EVENTS.labels(row.type, mode(row.livemode)).inc
    subject, _dot, what = row.type.partition(".")
    whose = row.data["agreement"]["gateway"], mode(row.livemode)
    if subject == "charge" and what in _CHARGE_ENDED:
        purpose = row.data["charge"]["purpose"]
        yield metrics.CHARGES.labels(*whose, purpose, what, _category(row.data.get("decline"))).inc
    elif row.type == "cycle.skipped":
        yield metrics.CHARGES.labels(*whose, "cycle", "skipped", "none").inc
    elif row.type in _REFRESHED:
        yield metrics.REFRESHES.labels(*whose, _REFRESHED[row.type]).inc


def _decision(session: Session, row: DecisionRecord) -> Iterator[Count]:
    yield metrics.DECISIONS.labels(*_of_agreement(session, row.agreement_id), row.action, row.rule).inc


def _refund(session: Session, row: Refund) -> Iterator[Count]:
    if row.status in _REFUND_ENDED:
        whose = _of_agreement(session, row.agreement_id)
        yield metrics.REFUNDS.labels(*whose, row.origin.value, row.status.value).inc


def _authorization(session: Session, row: Authorization) -> Iterator[Count]:
    yield metrics.AUTHORIZATIONS.labels(*_of_agreement(session, row.agreement_id), row.status).inc


def _notification(_: Session, row: Notification) -> Iterator[Count]:
    if row.status != "received":
        gateway = _gateways.get(row.account_id, "unknown")
        yield metrics.NOTIFICATIONS.labels(gateway, row.source, row.status).inc


def _delivery_attempt(_: Session, row: DeliveryAttempt) -> Iterator[Count]:
    result = "delivered" if row.error is None else "failed" if row.status is None else "refused"
    yield metrics.WEBHOOKS.labels(result).inc
    yield partial(metrics.WEBHOOK_SECONDS.labels(result).observe, row.latency_ms / 1000)


def _category(decline: Any) -> str:
    """Decline categories are the domain's own words; the providers' codes are many, and stay out of labels."""
    return str(decline["category"]) if decline else "none"


_WRITTEN: dict[type, Callable[[Session, Any], Iterator[Count]]] = {
    Event: _event,
    DecisionRecord: _decision,
    DeliveryAttempt: _delivery_attempt,
}
"""Counted when they are new; they never change."""
_TURNED: dict[type, Callable[[Session, Any], Iterator[Count]]] = {
    Attempt: _attempt,
    Refund: _refund,
    Authorization: _authorization,
    Notification: _notification,
}
"""Counted when they are new, and whenever they come to another status."""
