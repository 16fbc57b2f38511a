"""The daily check where a provider can be asked: who took their card away there has revoked (design promise 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import structlog
from temporalio import activity

from activities.contract import CHECK_CREDENTIALS, CheckInput
from activities.workbench import Workbench
from agreements import on_file as rules
from agreements import rates
from agreements.standing import Standing
from gateways.port import Account, Call, Lists, OnFile, SavedCredential
from store import credentials, lifecycle, merchants, on_file
from store.tables import Credential, GatewayAccount

log = structlog.get_logger(__name__)

_BATCH = 100
_APART = 0.2
"""Seconds between two questions: five a second per gateway, which no provider has a published limit below."""
REASON = "no longer on file at the provider"


class CredentialChecks:
    """Doing it twice a day changes nothing: it takes two days to find a credential gone."""

    def __init__(
        self,
        bench: Workbench,
        lists: Mapping[str, Lists],
        look: Callable[[Standing], Awaitable[None]],
        apart: float = _APART,
    ) -> None:
        """`look` hands a standing to the agreement's workflow, which activities do not know."""
        self._bench, self._lists, self._look, self._least = bench, lists, look, apart

    @activity.defn(name=CHECK_CREDENTIALS)
    async def check_credentials(self, given: CheckInput) -> None:
        """Asks a gateway for every credential a living agreement is charged with, account by account."""
        async with self._bench.database.transaction() as session:
            accounts = await on_file.accounts(session, given.gateway)
        for account_id in accounts:
            await self._check(given.gateway, account_id)

    async def _check(self, gateway: str, account_id: str) -> None:
        account = await self._account(account_id)
        after, asked, missing, taken_away = "", 0, 0, list[str]()
        while batch := await self._batch(account_id, after):
            for credential in batch:
                presence = await self._ask(gateway, account, credential)
                asked += presence is not OnFile.UNKNOWN
                missing += presence is OnFile.GONE
                if await self._note(credential, presence):
                    taken_away.append(credential.id)
            after = batch[-1].id
        if not rules.plausible(missing, asked):
            log.error("credentials_missing_in_bulk", account=account_id, missing=missing, asked=asked)
            return
        for credential_id in taken_away:
            await self._revoke(credential_id)

    async def _ask(self, gateway: str, account: Account, credential: Credential) -> OnFile:
        rate = rates.of(self._bench.settings.gateway_rates, gateway)
        await asyncio.sleep(rates.apart(rate, self._least))
        if credential.sealed_access_token is None:
            return OnFile.UNKNOWN
        saved = SavedCredential(self._bench.open_token(credential), credential.customer_id, credential.token_reference)
        return await self._lists[gateway].holds(account, saved, Call(timeout=self._bench.settings.provider_timeout))

    async def _note(self, credential: Credential, presence: OnFile) -> bool:
        """Whether it has been missed long enough. What is not known leaves everything as it was."""
        now = datetime.now(UTC)
        async with self._bench.database.transaction() as session:
            if presence is OnFile.HELD:
                await on_file.found(session, credential)
            if presence is not OnFile.GONE:
                return False
            since = await on_file.missed(session, credential, now)
        return rules.taken_away(since, now, self._bench.settings.credential_check_interval)

    async def _revoke(self, credential_id: str) -> None:
        """Every agreement that is charged with it ends, as if the provider had told us."""
        async with self._bench.database.transaction() as session:
            users = await credentials.users(session, await session.get_one(Credential, credential_id))
        for agreement_id in users:
            async with self._bench.change(agreement_id, datetime.now(UTC)) as change:
                credential = await change.session.get(Credential, change.agreement.credential_id)
                if credential is not None and not change.agreement.ended and credential.missing_since is not None:
                    await lifecycle.revoke(change, initiator="customer", reason=REASON, by_provider=True)
            await self._look(change.standing)

    async def _batch(self, account_id: str, after: str) -> list[Credential]:
        async with self._bench.database.transaction() as session:
            return list(await on_file.batch(session, account_id, after, _BATCH))

    async def _account(self, account_id: str) -> Account:
        async with self._bench.database.transaction() as session:
            row = await session.get_one(GatewayAccount, account_id)
        return Account.of(row, merchants.opened_keys(self._bench.vault, row))
