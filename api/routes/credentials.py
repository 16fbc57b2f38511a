"""`/v1/customers/{id}/credentials`: what a customer has on file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from agreements.views import SavedCredentialView
from api import saved_credentials
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.routes.parameters import PAGE, Cursor, Limit
from api.services import Inside
from api.views import ListView
from store import reads, views
from store.tables.columns import utcnow

router = APIRouter(prefix="/v1/customers/{customer_id:path}/credentials", tags=["credentials"], route_class=StrictRoute)

CustomerId = Annotated[
    str,
    Path(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$", description="The merchant's own id; `/` in it as `%2F`."),
]


@router.get("")
async def list_(
    customer_id: CustomerId, caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[SavedCredentialView]:
    """Newest first, in use or not. Warnings are those of the card itself, apart from any terms."""
    async with inside.database.transaction() as session:
        found = await reads.saved_credentials(session, caller, customer_id, limit=limit, after=cursor)
        return shown.page(found, [await views.saved_credential(session, row, utcnow()) for row in found.rows])


@router.delete("/{credential_id}", status_code=204, response_class=Response)
async def delete(customer_id: CustomerId, credential_id: str, caller: Caller, inside: Inside) -> None:
    """Forgets a credential nobody uses: the provider is told to end it, and its secrets are wiped. 409 while an
    agreement is charged with it. Deleting it again changes nothing.
    """
    await saved_credentials.delete(inside, caller, customer_id, credential_id)
