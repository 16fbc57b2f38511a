"""A rotation of the vault in the middle of a refresh: the new token must not be thrown away."""

from __future__ import annotations

import httpx
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.contract import StepInput
from activities.credentials import Credentials
from activities.workbench import Workbench
from agreements.attempts import Verdict
from gateways import http
from gateways.antom.connector import Antom
from gateways.port import Account, Call, TokenAnswer
from store.tables import Credential
from tests.promises.support import agreement_row, unwatched
from tests.support.house import House, Shop


class RotatedMeanwhile(Antom):
    """The real connector; while it waits for the provider, the tokens are sealed again."""

    def __init__(self, client: httpx.AsyncClient, house: House, credential_id: str) -> None:
        super().__init__(client)
        self._house, self._credential_id = house, credential_id

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        answer = await super().refresh(account, payment_method, refresh_token, call)
        assert answer.verdict is Verdict.SUCCEEDED
        query = select(Credential).where(Credential.id == self._credential_id).with_for_update()
        async with self._house.database.transaction() as session:
            row = (await session.exec(query)).one()
            before = row.sealed_refresh_token or ""
            row.sealed_refresh_token = self._house.vault.rotate(before)
            assert row.sealed_refresh_token != before
        return answer


async def test_a_rotation_during_a_refresh_does_not_lose_the_new_token(house: House, shop: Shop) -> None:
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock)
    at = await unwatched(house, clock, "2027-08-01T00:00:00Z")
    credential_id = (await agreement_row(house, agreement)).credential_id or ""

    async def token() -> str:
        async with house.database.transaction() as session:
            row = await session.get_one(Credential, credential_id)
        return house.vault.open("access_token", row.sealed_access_token or "")

    async def nothing(_: object) -> None: ...

    before = await token()
    async with http.client() as client:
        gateway = RotatedMeanwhile(client, house, credential_id)
        bench = Workbench(house.settings, house.database, house.vault, {"antom": gateway}, nothing)
        step = StepInput(agreement_id=agreement, at=at)
        standing = await ActivityEnvironment().run(Credentials(bench).refresh, step)
    assert standing.refresh_at is not None
    assert standing.refresh_at > at
    assert await token() != before
