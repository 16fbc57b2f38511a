"""A card that the customer typed on a page of ours: their browser encrypted it, here it is handed on unread."""

from __future__ import annotations

from activities.contract import StepInput
from activities.workbench import Workbench
from agreements import inquiries
from agreements.attempts import Verdict
from agreements.standing import Standing
from gateways.port import AuthorizationAnswer, TakesCards
from store import first_payments, journal
from store.changes import Change
from store.tables import Authorization, Notification


def waits(authorization: Authorization) -> bool:
    """Whether a card lies in the journal that the provider has not taken or refused yet."""
    return authorization.status == "open" and authorization.code_notification_id is not None


async def confirm(bench: Workbench, step: StepInput, authorization_id: str) -> Standing:
    """Hands the card to the provider; a repeat after a crash or a lost answer is answered like the first."""
    async with bench.change(step.agreement_id, step.at) as change:
        authorization = await change.session.get_one(Authorization, authorization_id)
        payment = await first_payments.of(change.session, authorization)
        journalled = await change.session.get_one(Notification, authorization.code_notification_id)
        card = journal.unseal(bench.vault, journalled.sealed_message).body.decode()
        gateway, account = bench.gateway(change), await bench.account(change)
        call = bench.call(change.agreement, change.now, customer_waits=True)
    if not isinstance(gateway, TakesCards):
        raise TypeError(f"{change.agreement.gateway} takes no cards on our page")
    answer = await gateway.confirm(account, (payment and payment.payment_id) or "", card, call)
    async with bench.change(step.agreement_id, step.at) as change:
        authorization = await change.session.get_one(Authorization, authorization_id)
        journalled = await change.session.get_one(Notification, journalled.id)
        if waits(authorization) and authorization.code_notification_id == journalled.id:
            _record(bench, change, authorization, journalled, answer)
    return change.standing


async def over(bench: Workbench, change: Change, authorization: Authorization) -> None:
    """The page is asked about or closed: no card is waited for any more, and one that waits is forgotten."""
    if authorization.card_key is not None and authorization.code_notification_id is not None:
        forget(bench, await change.session.get_one(Notification, authorization.code_notification_id))
        authorization.code_notification_id = None
    authorization.card_key = None


def _record(
    bench: Workbench,
    change: Change,
    authorization: Authorization,
    journalled: Notification,
    answer: AuthorizationAnswer,
) -> None:
    if answer.verdict is Verdict.UNKNOWN:
        authorization.tries += 1
        authorization.next_try_at = inquiries.next_try(authorization.tries, change.now)
        return
    authorization.code_notification_id, authorization.next_try_at, authorization.tries = None, None, 0
    forget(bench, journalled)
    if answer.verdict is Verdict.DECLINED:
        # The page stays: the customer sees why, and may type it again.
        journalled.status, journalled.detail = "refused", answer.decline.code if answer.decline else answer.evidence
        return
    authorization.card_key = None
    if answer.verdict is Verdict.SUCCEEDED:
        authorization.url = answer.url
    else:
        authorization.status, authorization.next_try_at = "granted", change.now


def forget(bench: Workbench, journalled: Notification) -> None:
    """Nobody may keep a security code after the payment, not even encrypted for somebody else (PCI DSS 3.3.1)."""
    message = journal.unseal(bench.vault, journalled.sealed_message)
    journalled.sealed_message = journal.seal(bench.vault, message.model_copy(update={"body": b""}))
