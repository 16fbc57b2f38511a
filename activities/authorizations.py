"""Getting the customer's consent: the provider's page, the code that comes back, the first token."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from activities.contract import STEPS, StepInput
from activities.workbench import Workbench
from agreements import credentials, inquiries
from agreements.agenda import StepKind
from agreements.attempts import Verdict
from agreements.standing import Standing
from gateways.port import AuthorizationAnswer, AuthorizationRequest, Token, TokenAnswer
from store import card_changes, ids, lifecycle, open_links
from store.changes import Change
from store.creation import renew_state
from store.standings import open_authorization
from store.tables import Authorization, CardChange, Credential, Notification
from store.vault import Vault

ASK_FOR = timedelta(hours=1)
"""How long a provider that does not answer is asked for its page before the agreement is given up."""


class Authorizations:
    """The steps from `pending_authorization` to `active`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.AUTHORIZE])
    async def authorize(self, step: StepInput) -> Standing:
        """Asks for the customer's page, or turns the code the customer brought back into a token."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await open_authorization(change.session, change.agreement)
            due = authorization is not None and authorization.next_try_at is not None
        if authorization is None or not due:
            return change.standing
        if authorization.status == "granted":
            return await self._exchange(step, authorization)
        return await self._request(step, authorization.id)

    @activity.defn(name=STEPS[StepKind.EXPIRE_AUTHORIZATION])
    async def expire_authorization(self, step: StepInput) -> Standing:
        """The customer did not come back in time."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await open_authorization(change.session, change.agreement)
            if authorization and authorization.expires_at and authorization.expires_at <= change.now:
                await lifecycle.fail_authorization(change, authorization, "expired")
        return change.standing

    @activity.defn(name=STEPS[StepKind.EXPIRE_CARD_CHANGE])
    async def expire_card_change(self, step: StepInput) -> Standing:
        """Nobody gave another card by the link in time."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            expires_at = await open_links.expires_at(change.session, step.agreement_id)
            if expires_at is not None and expires_at <= change.now:
                await card_changes.expire(change, "its time ran out")
        return change.standing

    async def _request(self, step: StepInput, authorization_id: str) -> Standing:
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await change.session.get_one(Authorization, authorization_id)
            state = renew_state(self._bench.vault, authorization)
            account = await self._bench.account(change)
            agreement = change.agreement
            request = AuthorizationRequest(
                state=state,
                payment_method=agreement.payment_method,
                return_url=f"{self._bench.settings.public_url}/returns/{agreement.gateway}/{state}",
                notify_url=self._bench.notify_url(change),
                region=agreement.customer.get("region"),
            )
            call = self._bench.call(agreement, change.now)
        answer = await self._bench.gateway(change).authorize(account, request, call)
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await change.session.get_one(Authorization, authorization_id)
            if authorization.status == "requested":
                life = self._bench.gateway(change).traits.authorization_life
                await _requested(change, authorization, answer, life)
        return change.standing

    async def _exchange(self, step: StepInput, authorization: Authorization) -> Standing:
        async with self._bench.change(step.agreement_id, step.at) as change:
            account = await self._bench.account(change)
            journalled = await change.session.get_one(Notification, authorization.code_notification_id)
            news = self._bench.news(change.agreement.gateway, account, journalled)
            code = next((item.code for item in news if item.code), "")
            call = self._bench.call(change.agreement, change.now)
        answer = await self._bench.gateway(change).exchange(account, change.agreement.payment_method, code, call)
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await change.session.get_one(Authorization, authorization.id)
            if authorization.status == "granted" and not change.agreement.ended:
                await self._exchanged(change, authorization, answer)
            elif answer.token is not None:
                give_up(change, self._bench.vault, answer.token)
        return change.standing

    async def _exchanged(self, change: Change, authorization: Authorization, answer: TokenAnswer) -> None:
        authorization.tries += 1
        if answer.verdict is Verdict.SUCCEEDED and answer.token is not None:
            await grant(change, self._bench.vault, authorization, answer.token)
        elif answer.verdict is Verdict.DECLINED:
            authorization.error = answer.decline.model_dump(mode="json") if answer.decline else None
            await lifecycle.fail_authorization(change, authorization, "failed")
        else:
            authorization.next_try_at = inquiries.next_try(authorization.tries, change.now)


async def grant(change: Change, vault: Vault, authorization: Authorization, token: Token) -> None:
    """The token is here: the customer's consent is complete. The agreement starts, or goes on with the new card."""
    credential = new_credential(change, vault, token)
    change.session.add(credential)
    authorization.status = "completed"
    authorization.next_try_at = None
    authorization.expires_at = None
    if authorization.card_change_id is None:
        await lifecycle.activate(change, credential)
    else:
        await change.session.flush()
        await card_changes.swap(change, authorization.card_change_id, credential)


def give_up(change: Change, vault: Vault, token: Token) -> None:
    """A token that comes too late, after a revocation or for a link that no longer works, is ended at the provider."""
    credential = new_credential(change, vault, token)
    change.session.add(credential)
    lifecycle.give_up(change, credential)


def new_credential(change: Change, vault: Vault, token: Token) -> Credential:
    """A credential's row, its tokens sealed."""
    agreement = change.agreement
    credential = Credential(
        id=ids.new("crd"),
        merchant_id=agreement.merchant_id,
        livemode=agreement.livemode,
        customer_id=agreement.customer_id,
        gateway=agreement.gateway,
        account_id=agreement.account_id,
        kind="wallet",
        brand=agreement.payment_method,
        last4=_last4(token.label),
        sealed_access_token="",
        token_hash="",
        issued_at=change.now,
    )
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


async def _requested(
    change: Change, authorization: Authorization, answer: AuthorizationAnswer, life: timedelta
) -> None:
    authorization.tries += 1
    if answer.verdict is Verdict.SUCCEEDED:
        authorization.status = "open"
        authorization.url = answer.url
        authorization.next_try_at = None
        authorization.expires_at = change.now + life
        authorization.tries = 0
        if authorization.card_change_id is None:
            change.event("agreement.authorization_requested")
        else:
            # Who follows a link in its last minutes has the provider's time to decide.
            card_change = await change.session.get_one(CardChange, authorization.card_change_id)
            card_change.expires_at = max(card_change.expires_at, authorization.expires_at)
    elif answer.verdict is Verdict.DECLINED:
        authorization.error = answer.decline.model_dump(mode="json") if answer.decline else None
        await lifecycle.fail_authorization(change, authorization, "failed")
    else:
        authorization.next_try_at = inquiries.next_try(authorization.tries, change.now)
        authorization.expires_at = authorization.created_at + ASK_FOR


def _last4(label: str | None) -> str | None:
    """The last four digits of the masked account name providers give, for people to recognise."""
    digits = "".join(character for character in label or "" if character.isdigit())
    return digits[-4:] if len(digits) >= 4 else None
