"""A new agreement: its row and the request for the customer's consent, in one transaction."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.status import AgreementStatus
from agreements.terms import Terms
from agreements.views import Customer
from store import clocks, first_payments, ids
from store.changes import Change
from store.merchants import Principal
from store.tables import Agreement, Authorization
from store.vault import Vault

_UNIQUE_VIOLATION = "23505"


class ReferenceTaken(Exception):
    """The merchant has another agreement with this reference in this mode."""


@dataclass(frozen=True)
class Draft:
    """An agreement somebody asked for, checked in every respect; `terms` are complete."""

    id: str
    principal: Principal
    reference: str
    gateway: str
    account_id: str
    payment_method: str
    customer: Customer
    terms: Terms
    retry_policy: str
    own_policy: dict[str, Any] | None
    notice: dict[str, Any] | None
    return_url: str
    test_clock_id: str | None
    metadata: dict[str, str]


async def create(session: AsyncSession, vault: Vault, draft: Draft) -> Change:
    """Writes the agreement and a request for authorization that is due at once. Raises ReferenceTaken."""
    now = await clocks.now_for(session, draft.test_clock_id)
    agreement = Agreement(
        id=draft.id,
        merchant_id=draft.principal.merchant_id,
        livemode=draft.principal.livemode,
        reference=draft.reference,
        gateway=draft.gateway,
        account_id=draft.account_id,
        payment_method=draft.payment_method,
        customer_id=draft.customer.id,
        customer=draft.customer.model_dump(mode="json"),
        terms=draft.terms.model_dump(mode="json"),
        retry_policy=draft.retry_policy,
        own_policy=draft.own_policy,
        notice=draft.notice,
        return_url=draft.return_url,
        extra=dict(draft.metadata),
        test_clock_id=draft.test_clock_id,
        status=AgreementStatus.PENDING_AUTHORIZATION,
        created_at=now,
    )
    session.add(agreement)
    try:
        await session.flush()
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION:  # the id is fresh, so it is the reference
            raise ReferenceTaken(draft.reference) from error
        raise
    authorization = Authorization(
        id=ids.new("aut"),
        agreement_id=agreement.id,
        state_hash="",
        status="requested",
        next_try_at=now,
        created_at=now,
    )
    renew_state(vault, authorization)
    session.add(authorization)
    change = Change(session, agreement, now)
    if first_payments.needed(agreement):
        await first_payments.with_consent(change, authorization)
    await change.finish()
    return change


def renew_state(vault: Vault, authorization: Authorization) -> str:
    """A fresh unguessable state: providers want one per request, and a page whose answer got lost must not count."""
    state = secrets.token_urlsafe(32)
    authorization.state_hash = vault.fingerprint(state)
    return state


def lasting_state(vault: Vault, authorization: Authorization) -> str:
    """The one state of a page that takes a payment: a request for it is repeated with every byte the same."""
    state = vault.fingerprint(f"state of {authorization.id}")
    authorization.state_hash = vault.fingerprint(state)
    return state
