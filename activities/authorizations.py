"""Getting the customer's consent: the provider's page, and what the customer did there.

Some providers give a code for it, some take a payment. A payment is an attempt like any other, except that the customer
makes it: its row is there before the page, and it ends with what the provider says of the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import activity

from activities import card_entry, outcomes, tokens
from activities.contract import STEPS, StepInput
from activities.workbench import Workbench
from agreements import inquiries
from agreements.agenda import StepKind
from agreements.attempts import UNFINISHED, ChargeAnswer, Verdict, order_id
from agreements.declines import Decline, DeclineCategory
from agreements.standing import Standing
from agreements.status import AttemptStatus, ChargePurpose
from gateways.port import (
    Account,
    AuthorizationAnswer,
    AuthorizationRequest,
    Call,
    FirstPayment,
    Gateway,
    Payer,
    TokenAnswer,
)
from store import card_changes, cycles, first_payments, lifecycle, open_links
from store.changes import Change
from store.creation import lasting_state, renew_state
from store.standing_facts import SETTLED_FIRST
from store.standings import open_authorization
from store.tables import Attempt, Authorization, CardChange, Charge, Credential, Notification

ASK_FOR = timedelta(hours=1)
"""How long a provider that does not answer is asked for its page before the agreement is given up."""
_TOKEN_WITHIN = timedelta(days=1)
"""How long a provider is asked for the token of a payment that was made. Nobody keeps a customer's money for longer
without being able to say what for: an account may lack the permission to be told (gateways/ottu.md §6.1).
"""
_NOT_TOLD = Decline(
    category=DeclineCategory.CONFIGURATION,
    code="credential_not_told",
    message="The customer paid, and the provider did not tell the saved card.",
)


@dataclass(frozen=True)
class _Question:
    """Everything it takes to ask what a page came to."""

    gateway: Gateway
    account: Account
    call: Call
    method: str
    code: str
    """What the customer brought back, or the provider's name of the page's session."""
    closing: str | None
    """The request id of a payment that is to be closed unless it was made."""


class Authorizations:
    """The steps from `pending_authorization` to `active`, and those of a card change."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.AUTHORIZE])
    async def authorize(self, step: StepInput) -> Standing:
        """Asks for the customer's page, or for what the customer did there."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await open_authorization(change.session, change.agreement)
            due = authorization is not None and authorization.next_try_at is not None
            held = authorization is not None and await _held(change, authorization)
        if authorization is None or held or not due:
            return change.standing
        if authorization.status in ("granted", "closing"):
            return await self._exchange(step, authorization)
        if card_entry.waits(authorization):
            return await card_entry.confirm(self._bench, step, authorization.id)
        return await self._request(step, authorization.id)

    @activity.defn(name=STEPS[StepKind.EXPIRE_AUTHORIZATION])
    async def expire_authorization(self, step: StepInput) -> Standing:
        """The customer did not come back in time."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await open_authorization(change.session, change.agreement)
            over = authorization and authorization.expires_at and authorization.expires_at <= change.now
            if authorization and over and not await first_payments.close(change, authorization):
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

    # The page

    async def _request(self, step: StepInput, authorization_id: str) -> Standing:
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await change.session.get_one(Authorization, authorization_id)
            payment = await first_payments.of(change.session, authorization)
            wanted = payment is None or payment.status is AttemptStatus.PREPARED
            if wanted:
                account = await self._bench.account(change)
                request = await self._page(change, authorization, payment)
                call = self._bench.call(change.agreement, change.now, customer_waits=True)
            else:
                # The charge it was to pay has gone another way.
                authorization.status, authorization.next_try_at = "canceled", None
        if not wanted:
            return change.standing
        answer = await self._bench.gateway(change).authorize(account, request, call)
        if answer.card_key:
            answer = replace(answer, url=f"{self._bench.settings.public_url}/pay/{request.state}")
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await change.session.get_one(Authorization, authorization_id)
            if authorization.status == "requested":
                life = self._bench.gateway(change).traits.authorization_life
                await _requested(change, authorization, answer, life)
        return change.standing

    async def _page(
        self, change: Change, authorization: Authorization, payment: Attempt | None
    ) -> AuthorizationRequest:
        agreement, vault = change.agreement, self._bench.vault
        renewed = renew_state if payment is None else lasting_state
        state = renewed(vault, authorization)
        customer = agreement.customer
        return AuthorizationRequest(
            state=state,
            payment_method=agreement.payment_method,
            return_url=f"{self._bench.settings.public_url}/returns/{agreement.gateway}/{state}",
            notify_url=self._bench.notify_url(change),
            region=customer.get("region"),
            agreement_id=agreement.id,
            terms=change.terms,
            payer=Payer(
                agreement.customer_id,
                customer.get("name"),
                customer.get("email"),
                customer.get("phone"),
                await _known_as(change),
            ),
            payment=await _first_payment(change, payment) if payment else None,
        )

    # What came of it

    async def _exchange(self, step: StepInput, authorization: Authorization) -> Standing:
        async with self._bench.change(step.agreement_id, step.at) as change:
            payment = await first_payments.of(change.session, authorization)
            question = await self._question(change, authorization, payment)
        answer = await _ask(question)
        async with self._bench.change(step.agreement_id, step.at) as change:
            authorization = await change.session.get_one(Authorization, authorization.id)
            if payment is not None:
                payment = await change.session.get_one(Attempt, payment.id)
                await card_entry.over(self._bench, change, authorization)
                await self._paid(change, authorization, payment, answer)
            elif authorization.status == "granted" and not change.agreement.ended:
                await self._exchanged(change, authorization, answer)
            elif answer.token is not None:
                tokens.give_up(change, self._bench.vault, answer.token)
        return change.standing

    async def _question(self, change: Change, authorization: Authorization, payment: Attempt | None) -> _Question:
        account = await self._bench.account(change)
        if payment is not None:
            code = payment.payment_id or ""
        else:
            journalled = await change.session.get_one(Notification, authorization.code_notification_id)
            news = self._bench.news(change.agreement.gateway, account, journalled)
            code = next((item.code for item in news if item.code), "")
        closing = payment is not None and authorization.status == "closing"
        return _Question(
            gateway=self._bench.gateway(change),
            account=account,
            call=self._bench.call(change.agreement, change.now, customer_waits=True),
            method=change.agreement.payment_method,
            code=code,
            closing=payment.gateway_request_id if payment is not None and closing else None,
        )

    async def _exchanged(self, change: Change, authorization: Authorization, answer: TokenAnswer) -> None:
        authorization.tries += 1
        if answer.verdict is Verdict.SUCCEEDED and answer.token is not None:
            await tokens.grant(change, self._bench.vault, authorization, answer.token)
        elif answer.verdict is Verdict.DECLINED:
            authorization.error = answer.decline.model_dump(mode="json") if answer.decline else None
            await lifecycle.fail_authorization(change, authorization, "failed")
        else:
            authorization.next_try_at = inquiries.next_try(authorization.tries, change.now)

    async def _paid(self, change: Change, authorization: Authorization, payment: Attempt, answer: TokenAnswer) -> None:
        """What the customer's own payment came to: the money, and the consent it stands for."""
        if _has_waited(payment, answer, change.now):
            answer = TokenAnswer(Verdict.DECLINED, payment=answer.payment, decline=_NOT_TOLD, evidence=answer.evidence)
        money, token = answer.payment, answer.token
        if payment.status not in UNFINISHED:
            authorization.next_try_at = None
        elif answer.verdict is Verdict.NOT_FOUND and authorization.status == "granted":
            # The customer left the page, or was declined there, and may go back to it until its time is over.
            authorization.status, authorization.next_try_at, authorization.tries = "open", None, 0
        elif answer.verdict not in (Verdict.SUCCEEDED, Verdict.DECLINED) or money is None:
            authorization.tries += 1
            authorization.next_try_at = inquiries.next_try(authorization.tries, change.now)
        elif token is None:
            await self._came_to_nothing(change, authorization, payment, answer, money)
        elif change.agreement.ended:
            payment.credential_id = tokens.give_up(change, self._bench.vault, token).id
            authorization.status, authorization.next_try_at = "canceled", None
            await self._settle(change, payment, money)
        elif authorization.card_change_id is None:
            payment.credential_id = (await tokens.grant(change, self._bench.vault, authorization, token)).id
            await self._settle(change, payment, money)
        else:
            # The debt first: what is still overdue after it is collected with the new card.
            await self._settle(change, payment, money)
            payment.credential_id = (await tokens.grant(change, self._bench.vault, authorization, token)).id

    async def _came_to_nothing(
        self,
        change: Change,
        authorization: Authorization,
        payment: Attempt,
        answer: TokenAnswer,
        money: ChargeAnswer,
    ) -> None:
        """No token: nothing was paid, or it was without leaving one. An overdue charge that was paid stays paid."""
        decided = money.verdict in (Verdict.DECLINED, Verdict.SUCCEEDED)
        authorization.error = answer.decline.model_dump(mode="json") if answer.decline and decided else None
        over = "failed" if decided else "expired"
        if change.agreement.ended or authorization.card_change_id is not None:
            # The link of a card change can be followed again.
            authorization.status, authorization.next_try_at, authorization.expires_at = over, None, None
        else:
            await lifecycle.fail_authorization(change, authorization, over)
        await self._settle(change, payment, money)

    async def _settle(self, change: Change, payment: Attempt, money: ChargeAnswer) -> None:
        traits = self._bench.gateway(change).traits
        await outcomes.record(change, payment, money, traits, self._bench.links)


def _has_waited(payment: Attempt, answer: TokenAnswer, now: datetime) -> bool:
    """Whether a token is missing for long of which nothing is known but that it was paid for."""
    paid = answer.payment is not None and answer.payment.verdict is Verdict.SUCCEEDED
    unknown = answer.verdict not in (Verdict.SUCCEEDED, Verdict.DECLINED)
    return paid and unknown and now - (payment.sent_at or now) >= _TOKEN_WITHIN


async def _held(change: Change, authorization: Authorization) -> bool:
    """Whether a stop switch forbids the page: the customer would pay on it. What was paid on one is found out."""
    to_be_paid = authorization.status not in SETTLED_FIRST
    return bool(change.held) and to_be_paid and await first_payments.of(change.session, authorization) is not None


async def _ask(question: _Question) -> TokenAnswer:
    """The provider's answer about a page; one that can still be paid and must not be is closed there first."""
    gateway, account, call = question.gateway, question.account, question.call
    answer = await gateway.exchange(account, question.method, question.code, call)
    payable = answer.verdict in (Verdict.PROCESSING, Verdict.NOT_FOUND)
    if question.closing is None or not payable:
        return answer
    closed = await gateway.cancel(account, question.closing, call, question.code or None)
    if closed.verdict is not Verdict.SUCCEEDED:
        return answer
    return TokenAnswer(Verdict.DECLINED, payment=ChargeAnswer(Verdict.CANCELED, evidence="page_closed"))


async def _first_payment(change: Change, payment: Attempt) -> FirstPayment:
    charge = await change.session.get_one(Charge, payment.charge_id)
    return FirstPayment(
        request_id=payment.gateway_request_id,
        order_id=order_id(charge.agreement_id, charge.cycle, charge.id),
        description=cycles.described(change, charge),
        amount=None if charge.purpose is ChargePurpose.VERIFICATION else payment.money,
    )


async def _known_as(change: Change) -> str | None:
    """What the provider calls the customer, where the credential in use tells."""
    if change.agreement.credential_id is None:
        return None
    return (await change.session.get_one(Credential, change.agreement.credential_id)).token_reference


async def _requested(
    change: Change, authorization: Authorization, answer: AuthorizationAnswer, life: timedelta
) -> None:
    payment = await first_payments.of(change.session, authorization)
    authorization.tries += 1
    if answer.verdict is Verdict.SUCCEEDED:
        authorization.status = "open"
        authorization.url, authorization.card_key = answer.url, answer.card_key
        authorization.next_try_at = None
        authorization.expires_at = answer.expires_at or change.now + life
        authorization.tries = 0
        if payment is not None:
            # From here on the customer may pay.
            payment.status, payment.sent_at, payment.payment_id = AttemptStatus.SENT, change.now, answer.handle
        if authorization.card_change_id is None:
            change.event("agreement.authorization_requested")
        else:
            # Who follows a link in its last minutes has the provider's time to decide.
            card_change = await change.session.get_one(CardChange, authorization.card_change_id)
            card_change.expires_at = max(card_change.expires_at, authorization.expires_at)
    elif answer.verdict is Verdict.DECLINED:
        authorization.error = answer.decline.model_dump(mode="json") if answer.decline else None
        await lifecycle.fail_authorization(change, authorization, "failed")
        if payment is not None:
            await first_payments.drop(change, payment)
    else:
        authorization.next_try_at = inquiries.next_try(authorization.tries, change.now)
        authorization.expires_at = authorization.created_at + ASK_FOR
