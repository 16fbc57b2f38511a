"""Credentials agreements leave: kept while others are charged with the same token, ended at the provider afterwards.

An agreement leaves its credential by a change, a revocation or its end. The last one to leave a token that any of them
wanted ended has its workflow tell the provider; one that nobody wanted ended stays on file until it is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agreements import inquiries
from agreements.attempts import Verdict
from store import credentials
from store.changes import Change
from store.tables import Credential

_TOLD = {Verdict.SUCCEEDED: "released", Verdict.DECLINED: "release_failed"}


class InUse(Exception):
    """The credential cannot be deleted for the sake of `agreements`."""

    def __init__(self, agreements: Sequence[str]) -> None:
        super().__init__(f"used by {', '.join(agreements)}")
        self.agreements = agreements


def retire(change: Change, credential: Credential) -> None:
    """Nothing new is charged with it; the agreement's workflow ends it at the provider."""
    credential.status = "replaced"
    credential.refresh_at = None
    credential.released_by = change.agreement.id
    credential.release_at = change.now


async def replaced(change: Change, credential: Credential) -> None:
    """The agreement is charged with another one from here on."""
    if await _left(change, credential):
        retire(change, credential)


async def revoked(change: Change, *, by_provider: bool) -> bool:
    """The agreement was revoked. Whether the provider must be told: not while another lives on the token, nor where the
    news came from the provider.
    """
    credential = await _current(change)
    if credential is None or not await _left(change, credential):
        return False
    # A payer's withdrawal stops the debits; whether the provider still holds the card, only it can tell.
    credential.status = "revoked" if by_provider else "replaced"
    credential.refresh_at = None
    return not by_provider


async def confirmed(change: Change) -> None:
    """The provider says by itself that the revoked agreement's authorization has ended there."""
    credential = await _current(change)
    if credential is not None and not await credentials.users(change.session, credential):
        await told(change, credential, Verdict.SUCCEEDED)


async def ended(change: Change) -> None:
    """The agreement has come to its end. Its credential stays on file, unless one before it wanted that ended."""
    credential = await _current(change)
    if credential is None:
        return
    rows = await credentials.lock(change.session, credential)
    if any(row.status == "kept" for row in rows) and not await credentials.users(change.session, credential):
        retire(change, credential)


async def delete(change: Change, credential: Credential) -> None:
    """The merchant does not know it any more: wiped, once the provider has ended it where it can. Raises InUse."""
    rows = await credentials.lock(change.session, credential)
    if holders := await credentials.holders(change.session, credential):
        raise InUse(holders)
    if credential.status in credentials.GONE:
        credential.deleted_at = credential.deleted_at or change.now
        _wipe(credential)
        return
    for row in rows:
        row.deleted_at = row.deleted_at or change.now
    if credential.status != "replaced":
        retire(change, credential)


async def keep_if_needed(change: Change, credential: Credential) -> bool:
    """Whether an agreement that lives, this one included, is charged with the same token: then it is left alone."""
    await credentials.lock(change.session, credential)
    if not await credentials.users(change.session, credential):
        return False
    credential.status, credential.release_at = "kept", None
    if credential.deleted_at is not None:
        _wipe(credential)
    return True


async def answered(change: Change, credential: Credential, verdict: Verdict) -> None:
    """What the provider said; anything but a final answer is asked for again."""
    credential.release_tries += 1
    if verdict in _TOLD:
        await told(change, credential, verdict)
    else:
        credential.release_at = inquiries.next_try(credential.release_tries, change.now)


async def told(change: Change, credential: Credential, verdict: Verdict) -> None:
    """The provider's final answer, for every row of the token."""
    _gone(await credentials.lock(change.session, credential), _TOLD[verdict])


def _gone(rows: Iterable[Credential], status: str) -> None:
    for row in rows:
        row.status, row.refresh_at, row.release_at = status, None, None
        if row.deleted_at is not None:
            _wipe(row)


def _wipe(credential: Credential) -> None:
    """What remains tells that there was such a credential, and what may never be forgotten of its card's declines."""
    credential.sealed_access_token = credential.sealed_refresh_token = credential.token_reference = None


async def _current(change: Change) -> Credential | None:
    return (
        await change.session.get(Credential, change.agreement.credential_id) if change.agreement.credential_id else None
    )


async def _left(change: Change, credential: Credential) -> bool:
    """Whether the agreement was the last one on the token; else it is kept for the others."""
    await credentials.lock(change.session, credential)
    users = await credentials.users(change.session, credential)
    if not users:
        return True
    own = list(users) == [change.agreement.id]
    credential.status = "superseded" if own else "kept"  # the customer may give the same card again
    return False
