"""Deleting what a customer has on file: committed on the rows first, then told to a workflow."""

from __future__ import annotations

from api import telling
from api.problems import Problem, not_found
from api.services import Services
from store import changes, credentials, reads, releases, trail
from store.merchants import Principal
from store.tables import Credential


async def delete(inside: Services, caller: Principal, customer_id: str, credential_id: str) -> None:
    """Deletes a credential, once; the workflow of its last agreement ends it at the provider. Raises Problem."""
    async with inside.database.transaction() as session:
        found = await reads.saved_credential(session, caller, customer_id, credential_id)
        if found is None:
            raise not_found("credential")
        agreement_id = await credentials.last_user(session, found)
    if found.deleted_at is not None:
        return
    if agreement_id is None:
        raise RuntimeError(f"no agreement was ever charged with {credential_id}")
    try:
        async with changes.change(inside.database, agreement_id) as change:
            await releases.delete(change, await change.session.get_one(Credential, credential_id))
            trail.by_call(change.session, caller, credential_id, agreement_id)
    except releases.InUse as error:
        detail = f"the credential is {error}"
        raise Problem("credential_in_use", detail, agreements=error.agreements) from error
    await telling.look(inside, change.standing, change.delivery_ids)
