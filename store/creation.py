"""A new agreement: its row and the request for the customer's consent, in one transaction."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.consents import Evidence, How
from agreements.status import AgreementStatus
from agreements.terms import Terms
from agreements.views import Customer
from store import clocks, consents, first_payments, ids, lifecycle
from store.changes import Change
from store.merchants import Principal
from store.tables import Agreement, Authorization, Credential
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
    credential_id: str | None = None
    """One the customer gave before, locked by whoever checked it."""
    evidence: Evidence | None = None
    """What the merchant saw of the customer's consent."""


async def create(session: AsyncSession, vault: Vault, draft: Draft) -> Change:
    """Writes the agreement and a request for authorization that is due at once, or begins it at once where the customer
    gave its credential before. Raises ReferenceTaken.
    """
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
    change = Change(session, agreement, now)
    if draft.credential_id is None:
        await _ask(change, vault, draft.evidence)
    else:
        await _begin(change, vault, await session.get_one(Credential, draft.credential_id), draft.evidence)
    await change.finish()
    return change


async def _ask(change: Change, vault: Vault, evidence: Evidence | None) -> None:
    authorization = page_wanted(change, vault)
    await consents.ask(change, vault, How.PROVIDER_PAGE, authorization, evidence)
    if first_payments.needed(change.agreement):
        await first_payments.with_consent(change, authorization)


async def _begin(change: Change, vault: Vault, credential: Credential, evidence: Evidence | None) -> None:
    """With a credential the customer gave before, the merchant has their consent already."""
    consent = await consents.ask(change, vault, How.REUSED_CREDENTIAL, None, evidence)
    consent.given_at, consent.credential_id = change.now, credential.id
    await lifecycle.activate(change, credential)


def page_wanted(change: Change, vault: Vault, card_change_id: str | None = None) -> Authorization:
    """Writes down that the provider is to be asked for the page on which the customer agrees, or gives another card."""
    authorization = Authorization(
        id=ids.new("aut"),
        agreement_id=change.agreement.id,
        card_change_id=card_change_id,
        state_hash="",
        status="requested",
        next_try_at=change.now,
        created_at=change.now,
    )
    renew_state(vault, authorization)
    change.session.add(authorization)
    return authorization


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
