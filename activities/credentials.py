"""The life of a token after the customer gave it: refreshed ahead of its expiry, revoked at the end."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from activities.contract import STEPS, StepInput
from activities.tokens import keep_token
from activities.workbench import Workbench
from agreements import inquiries
from agreements.agenda import StepKind
from agreements.attempts import Verdict
from agreements.declines import DeclineCategory
from agreements.standing import Standing
from gateways.port import Account, ReversalAnswer, TokenAnswer
from store import credentials, releases, standing_facts
from store.changes import Change
from store.tables import Credential

_AFTER_REPAIR = timedelta(hours=6)
"""Between tries while the merchant's set-up at the provider is broken: somebody has to mend it first."""


class Credentials:
    """The steps that keep a credential usable, and the one that ends it."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.REFRESH])
    async def refresh(self, step: StepInput) -> Standing:
        """Gets a new token with the newest refresh token; a lost answer is asked for again with the same one."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            credential = await _current(change)
            await credentials.lock(change.session, credential)  # another agreement may be writing its refresh down
            sealed, token_hash = credential.sealed_refresh_token, credential.token_hash
            due = sealed and credential.refresh_at and credential.refresh_at <= change.now
            account = await self._bench.account(change)
            call = self._bench.call(change.agreement, change.now)
        if not sealed or not due:
            return change.standing
        refresh_token = self._bench.vault.open("refresh_token", sealed)
        answer = await self._bench.gateway(change).refresh(
            account, change.agreement.payment_method, refresh_token, call
        )
        async with self._bench.change(step.agreement_id, step.at) as change:
            credential = await _current(change)
            await credentials.lock(change.session, credential)  # other agreements may refresh it too
            if self._is_news(credential, answer, token_hash, refresh_token):
                self._refreshed(change, credential, answer)
        return change.standing

    @activity.defn(name=STEPS[StepKind.REVOKE])
    async def revoke_at_provider(self, step: StepInput) -> Standing:
        """Ends the authorization at the provider, repeated until its answer is final (design promise 4)."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            credential = await _current(change)
            due = change.agreement.revoke_at is not None and not await _not_needed(change, credential)
            account = await self._bench.account(change)
        if not due:
            return change.standing
        answer = await self._end(change, account, credential)
        async with self._bench.change(step.agreement_id, step.at) as change:
            if change.agreement.revoke_at is not None:
                await _revoked(change, credential, answer)
        return change.standing

    @activity.defn(name=STEPS[StepKind.RELEASE])
    async def release(self, step: StepInput) -> Standing:
        """Ends a credential that is charged no more, repeated until the provider's answer is final (promise 5)."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            credential = await change.session.get_one(Credential, step.subject)
            facts = await standing_facts.read(change.session, change.agreement, change.now)
            listed = any(row.id == credential.id for row in facts.due_releases)
            due = listed and not await releases.keep_if_needed(change, credential)
            account = await self._bench.account(change)
        if not due:
            return change.standing
        answer = await self._end(change, account, credential)
        async with self._bench.change(step.agreement_id, step.at) as change:
            credential = await change.session.get_one(Credential, step.subject)
            if credential.release_at is not None:
                await releases.answered(change, credential, answer.verdict)
        return change.standing

    async def _end(self, change: Change, account: Account, credential: Credential) -> ReversalAnswer:
        call = self._bench.call(change.agreement, change.now)
        token = self._bench.open_token(credential)
        return await self._bench.gateway(change).revoke(account, token, call, change.agreement.customer_id)

    def _is_news(self, credential: Credential, answer: TokenAnswer, token_hash: str, refresh_token: str) -> bool:
        """Whether nobody was quicker who refreshes the same credential for another agreement. A new token counts unless
        one is there already: who came second may have been refused because it was made, and have written that down.
        """
        if answer.verdict is Verdict.SUCCEEDED:
            return credential.token_hash == token_hash and credential.sealed_access_token is not None
        sealed = credential.sealed_refresh_token  # which may differ although the secret is the same (vault rotation)
        return sealed is not None and self._bench.vault.open("refresh_token", sealed) == refresh_token

    def _refreshed(self, change: Change, credential: Credential, answer: TokenAnswer) -> None:
        credential.refresh_tries += 1
        if answer.verdict is Verdict.SUCCEEDED and answer.token is not None:
            keep_token(change, self._bench.vault, credential, answer.token)
            change.event("credential.refreshed")
            return
        decline = answer.decline
        if answer.verdict is Verdict.DECLINED and decline and decline.category is not DeclineCategory.CONFIGURATION:
            # The token in use stays good until it expires (gateways/antom.md §3.2): charging goes on with it.
            credential.refresh_at = None
            credential.sealed_refresh_token = None
            change.event("credential.refresh_failed", decline=decline.model_dump(mode="json"))
        elif answer.verdict is Verdict.DECLINED:
            credential.refresh_at = change.now + _AFTER_REPAIR
        else:
            credential.refresh_at = inquiries.next_try(credential.refresh_tries, change.now)


async def _not_needed(change: Change, credential: Credential) -> bool:
    """Whether another agreement lives on the token by now: then the provider is not told."""
    agreement = change.agreement
    if not await releases.keep_if_needed(change, credential):
        return False
    agreement.revoke_at = None
    agreement.revocation = {**(agreement.revocation or {}), "provider_status": "not_needed"}
    return True


async def _revoked(change: Change, credential: Credential, answer: ReversalAnswer) -> None:
    agreement = change.agreement
    agreement.revoke_tries += 1
    if answer.verdict in (Verdict.SUCCEEDED, Verdict.DECLINED):
        agreement.revoke_at = None
        status = "done" if answer.verdict is Verdict.SUCCEEDED else "failed"
        agreement.revocation = {**(agreement.revocation or {}), "provider_status": status}
        await releases.told(change, credential, answer.verdict)
    else:
        agreement.revoke_at = inquiries.next_try(agreement.revoke_tries, change.now)


async def _current(change: Change) -> Credential:
    return await change.session.get_one(Credential, change.agreement.credential_id)
