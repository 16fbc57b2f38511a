"""Consents as rows: written when a customer is asked, completed by what is seen of them and by what it led to."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.consents import Evidence, How, Sighting, canonical, digest, document
from store import ids
from store.changes import Change
from store.pages import Page, cut, of, place
from store.tables import Agreement, Authorization, Consent, Credential, Merchant
from store.vault import Vault

_PURPOSE = "consent"


async def ask(
    change: Change, vault: Vault, how: How, authorization: Authorization | None, evidence: Evidence | None = None
) -> Consent:
    """The customer is asked for their consent to the terms as they are now."""
    agreement = change.agreement
    shown = document(
        change.terms,
        merchant=(await change.session.get_one(Merchant, agreement.merchant_id)).name,
        agreement=agreement.id,
        reference=agreement.reference,
        payment_method=agreement.payment_method,
    )
    consent = Consent(
        id=ids.new("con"),
        agreement_id=agreement.id,
        merchant_id=agreement.merchant_id,
        livemode=agreement.livemode,
        how=how,
        authorization_id=authorization.id if authorization else None,
        card_change_id=authorization.card_change_id if authorization else None,
        shown=shown,
        shown_hash=digest(canonical(shown)),
        sealed_evidence=_sealed(vault, evidence or Evidence()),
        asked_at=change.now,
    )
    change.session.add(consent)
    return consent


async def given(change: Change, vault: Vault, authorization: Authorization, credential: Credential) -> None:
    """The customer has agreed: the provider gave a credential for it."""
    consent = await _of(change.session, authorization.id)
    if consent is None:  # asked by a release that kept none: the terms in force are what they agreed to
        consent = await ask(change, vault, How.PROVIDER_PAGE, authorization)
    consent.given_at, consent.credential_id = change.now, credential.id


async def seen(session: AsyncSession, vault: Vault, authorization_id: str, sighting: Sighting) -> None:
    """The customer was seen on their way to the provider's page, or back. Harmless when repeated."""
    consent = await _of(session, authorization_id)
    if consent is not None:
        consent.sealed_evidence = _sealed(vault, evidence(vault, consent).with_sighting(sighting))


async def seen_coming_back(session: AsyncSession, vault: Vault, state: str, sighting: Sighting) -> None:
    """The same by the state of the page they come back from."""
    query = select(Authorization.id).where(Authorization.state_hash == vault.fingerprint(state))
    authorization_id = (await session.exec(query)).first()
    if authorization_id is not None:
        await seen(session, vault, authorization_id, sighting)


async def of_agreement(session: AsyncSession, agreement: Agreement, *, limit: int, after: str | None) -> Page[Consent]:
    """Those the customer gave, newest first. Raises BadCursor."""
    query = select(Consent).where(Consent.agreement_id == agreement.id, col(Consent.given_at).is_not(None))
    list_ = of("consents", agreement.id)
    if after is not None:
        query = query.where(col(Consent.id) < place(after, list_, str)[0])
    rows = await session.exec(query.order_by(col(Consent.id).desc()).limit(limit + 1))
    return cut(rows.all(), limit, list_, lambda row: (row.id,))


def evidence(vault: Vault, consent: Consent) -> Evidence:
    """What was seen of the customer. Raises VaultError."""
    return Evidence.model_validate_json(vault.open(_PURPOSE, consent.sealed_evidence))


def forget_visitor(vault: Vault, consent: Consent) -> None:
    """Who was seen is forgotten; where, when and in which language stays, and so does what the merchant's page said.

    Raises VaultError.
    """
    consent.sealed_evidence = _sealed(vault, evidence(vault, consent).without_visitor())


def _sealed(vault: Vault, found: Evidence) -> str:
    return vault.seal(_PURPOSE, found.model_dump_json())


async def _of(session: AsyncSession, authorization_id: str) -> Consent | None:
    query = select(Consent).where(Consent.authorization_id == authorization_id).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).first()
