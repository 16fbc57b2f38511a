"""Credentials that are charged no more: ended at the provider, unless somebody still needs them."""

from __future__ import annotations

from sqlmodel import col, select

from agreements import inquiries
from agreements.attempts import Verdict
from store.changes import Change
from store.tables import Agreement, Credential


def retire(change: Change, credential: Credential) -> None:
    """Nothing new is charged with it; the agreement's workflow ends it at the provider."""
    credential.status = "replaced"
    credential.refresh_at = None
    credential.released_by = change.agreement.id
    credential.release_at = change.now


async def keep_if_needed(change: Change, credential: Credential) -> bool:
    """Whether an agreement that lives, this one included, is charged with the same token: then it is left alone."""
    query = (
        select(Agreement.id)
        .join(Credential, col(Credential.id) == Agreement.credential_id)
        .where(
            Agreement.account_id == credential.account_id,
            Credential.token_hash == credential.token_hash,
            col(Agreement.ended).is_(None),
        )
    )
    if (await change.session.exec(query.limit(1))).first() is None:
        return False
    credential.status, credential.release_at = "kept", None
    return True


def answered(change: Change, credential: Credential, verdict: Verdict) -> None:
    """What the provider said; anything but a final answer is asked for again."""
    credential.release_tries += 1
    if verdict in (Verdict.SUCCEEDED, Verdict.DECLINED):
        credential.status = "released" if verdict is Verdict.SUCCEEDED else "release_failed"
        credential.release_at = None
    else:
        credential.release_at = inquiries.next_try(credential.release_tries, change.now)
