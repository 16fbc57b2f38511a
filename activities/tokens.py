"""The tokens customers gave: kept sealed in their credentials, put to use, or given up."""

from __future__ import annotations

from agreements import credentials
from gateways.port import Card, Token
from store import card_changes, consents, ids, lifecycle
from store.changes import Change
from store.tables import Authorization, Credential
from store.vault import Vault

_WALLET = "wallet"
_CARD = "card"


async def grant(change: Change, vault: Vault, authorization: Authorization, token: Token) -> Credential:
    """The token is here: the customer's consent is complete. The agreement starts, or goes on with the new card."""
    credential = new_credential(change, vault, token)
    change.session.add(credential)
    authorization.status = "completed"
    authorization.next_try_at = None
    authorization.expires_at = None
    await consents.given(change, vault, authorization, credential)
    if authorization.card_change_id is None:
        await lifecycle.activate(change, credential)
    else:
        await change.session.flush()
        await card_changes.swap(change, authorization.card_change_id, credential)
    return credential


def give_up(change: Change, vault: Vault, token: Token) -> Credential:
    """A token that comes too late, after a revocation or for a link that no longer works, is ended at the provider."""
    credential = new_credential(change, vault, token)
    change.session.add(credential)
    lifecycle.give_up(change, credential)
    return credential


def new_credential(change: Change, vault: Vault, token: Token) -> Credential:
    """A credential's row, its tokens sealed."""
    agreement, card = change.agreement, token.card
    credential = Credential(
        id=ids.new("crd"),
        merchant_id=agreement.merchant_id,
        livemode=agreement.livemode,
        customer_id=agreement.customer_id,
        gateway=agreement.gateway,
        account_id=agreement.account_id,
        kind=_CARD if card else _WALLET,
        brand=card.brand if card else agreement.payment_method,
        payment_method=agreement.payment_method,
        last4=card.last4 if card else _last4(token.label),
        mit_reason=change.terms.type,
        token_reference=token.reference,
        sealed_access_token="",
        token_hash="",
        issued_at=change.now,
    )
    if card is not None:
        _know(credential, card, vault.fingerprint(f"card {card.fingerprint or token.access_token}"))
    keep_token(change, vault, credential, token)
    return credential


def keep_token(change: Change, vault: Vault, credential: Credential, token: Token) -> None:
    """Seals a token into its credential, in place of the one before."""
    credential.sealed_access_token = vault.seal("access_token", token.access_token)
    credential.sealed_refresh_token = vault.seal("refresh_token", token.refresh_token) if token.refresh_token else None
    credential.token_hash = vault.fingerprint(token.access_token)
    credential.issued_at = change.now
    credential.token_expires_at = token.expires_at
    credential.refresh_expires_at = token.refresh_expires_at
    credential.refresh_tries = 0
    credential.refresh_at = credentials.refresh_at(
        token.expires_at, token.refresh_expires_at, token.refresh_token is not None, change.now
    )


def _know(credential: Credential, card: Card, fingerprint: str) -> None:
    """The facts of a card, by which schemes count its declines and chain its debits to the first payment."""
    credential.network, credential.fingerprint = card.network, fingerprint
    credential.expiry_month, credential.expiry_year = card.expiry_month, card.expiry_year
    credential.network_transaction_id = card.network_transaction_id
    credential.transaction_link_id = card.transaction_link_id
    credential.marks = list(card.marks)


def _last4(label: str | None) -> str | None:
    """The last four digits of the masked account name providers give, for people to recognise."""
    digits = "".join(character for character in label or "" if character.isdigit())
    return digits[-4:] if len(digits) >= 4 else None
