"""Debits that cannot double (design promises 1 and 2).

An attempt is committed as `sent` under the agreement's lock just before the call, and settled after it. Where the gate
says no, or something has to be opened first, it is committed as `prepared`. Whatever dies in between, the repeated
activity finds the row: prepared means never sent, sent means the provider is asked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities import outcomes
from activities.contract import STEPS, StepInput
from activities.workbench import Workbench
from agreements import collection, gate, inquiries, rulebook
from agreements.agenda import StepKind
from agreements.attempts import Verdict, order_id, request_id
from agreements.gate import Clearance, Means
from agreements.guarantees import QueryLimits
from agreements.standing import Standing
from agreements.status import AttemptStatus, ChargeStatus
from gateways.port import Account, Call, ChargeAnswer, ChargeRequest, Gateway, OpenAnswer
from store import attempts, budgets, card_changes, cycles, first_payments, ids, lifecycle, notices, recovery, stops
from store.card_changes import Links
from store.changes import Change
from store.tables import Attempt, Charge, Credential

_PAGE_SETTLES = timedelta(minutes=1)
"""From a page's end to when the engine looks whether it was paid."""


@dataclass(frozen=True)
class _Dispatch:
    """Everything one call needs, read under the lock that committed the attempt as sent."""

    gateway: Gateway
    account: Account
    call: Call
    request: ChargeRequest
    credential_id: str | None


class Charges:
    """The steps that move a customer's money, and those that find out whether it moved."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.CHARGE])
    async def charge(self, step: StepInput) -> Standing:
        """Tries to collect a charge. A repeat of the same attempt asks what became of it before anything else."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await _prepare(change, step, self._bench.links)
            to_ask = attempt is not None and (attempt.status.open or await recovery.may_have_been_made(change, attempt))
            dispatch = None if attempt is None else await self._begin(change, attempt, to_ask=to_ask)
        if attempt is None:
            return change.standing
        if to_ask and attempt.status.open:
            return await self.inquire(step.model_copy(update={"subject": attempt.id}))
        if dispatch is None:
            return change.standing
        if attempt.status is AttemptStatus.PREPARED:
            return await self._in_two_steps(step, attempt.id, dispatch)
        return await self._record(step, attempt.id, await _debit(dispatch))

    @activity.defn(name=STEPS[StepKind.ANNOUNCE])
    async def announce(self, step: StepInput) -> Standing:
        """Says that a debit is coming."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            await notices.announce(change, await change.session.get_one(Charge, step.subject))
        return change.standing

    @activity.defn(name=STEPS[StepKind.LAPSE])
    async def lapse(self, step: StepInput) -> Standing:
        """The customer had to act for this charge and did not in time."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            charge = await change.session.get_one(Charge, step.subject)
            waits = charge.status is ChargeStatus.ACTION_REQUIRED and not change.stopped
            over = charge.act_by is not None and charge.act_by <= change.now
            if waits and over and not await _being_paid(change, charge):
                aftermath = collection.lapse(change, charge, change.policy.at_end, rulebook.current().version)
                await outcomes.conclude(change, charge, aftermath, "the customer did not act in time")
                await lifecycle.complete_if_finished(change)
        return change.standing

    @activity.defn(name=STEPS[StepKind.INQUIRE])
    async def inquire(self, step: StepInput) -> Standing:
        """Asks what became of an attempt; sends it again, or cancels it, where the provider's answer calls for that."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, step.subject)
            charge = await change.session.get_one(Charge, attempt.charge_id)
            due = attempt.next_look_at is not None and attempt.next_look_at <= change.now
            limits = self._bench.gateway(change).traits.queries
            earliest = inquiries.earliest_look(attempt.sent_at or change.now, attempt.looked_at, limits)
            asked = due and earliest <= change.now
            if due and not asked:
                attempt.next_look_at = earliest
            if asked:
                attempt.looks += 1
                attempt.looked_at = change.now
                dispatch = await self._dispatch(change, attempt)
        if not asked:
            return change.standing
        traits, request = dispatch.gateway.traits, dispatch.request
        answer = await dispatch.gateway.inquire(dispatch.account, request.request_id, dispatch.call, request.handle)
        if collection.must_cancel(change, charge, attempt, answer, traits):
            answer = await _cancel(dispatch, answer)
        if answer.verdict is Verdict.NOT_FOUND and collection.may_repeat(change, attempt, traits):
            again = await self._again(step, attempt.id)
            if again is not None:
                return await self._record(step, attempt.id, await _debit(again))
        settled = collection.settled(change, attempt, answer, traits)
        if settled is not answer and request.handle is not None and traits.opens:
            # What was opened and never reached must not be reached after the next attempt.
            settled = await _cancel(dispatch, answer)
        return await self._record(step, attempt.id, settled)

    async def _begin(self, change: Change, attempt: Attempt, *, to_ask: bool) -> _Dispatch | None:
        """What to call the provider with. Where nothing is to be opened first the attempt passes the gate at once: one
        commit writes it down as sent. So does one that is only asked about: nothing will be opened for it.
        """
        if attempt.status is not AttemptStatus.PREPARED:
            return None
        if self._bench.gateway(change).traits.opens and attempt.payment_id is None and not to_ask:
            return await self._dispatch(change, attempt)
        return await self._pass_the_gate(change, attempt)

    async def _in_two_steps(self, step: StepInput, attempt_id: str, wanted: _Dispatch) -> Standing:
        """Opens the debit at the provider, then makes it; the handle is committed in between."""
        opened = await wanted.gateway.open(wanted.account, wanted.request, wanted.call)
        later = await self._opened(step, attempt_id, wanted, opened)
        if later is not None:
            return later
        refused = opened.verdict is Verdict.DECLINED
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, attempt_id)
            ready = attempt.status is AttemptStatus.PREPARED and (attempt.payment_id is not None or refused)
            dispatch = await self._pass_the_gate(change, attempt) if ready else None
        if dispatch is None:
            return change.standing
        if refused:
            answer = ChargeAnswer(Verdict.DECLINED, opened.handle, opened.decline, evidence=opened.evidence)
            return await self._record(step, attempt_id, answer)
        return await self._record(step, attempt_id, await _debit(dispatch))

    async def _opened(self, step: StepInput, attempt_id: str, wanted: _Dispatch, opened: OpenAnswer) -> Standing | None:
        """Keeps the provider's handle. The standing to go back with where the debit cannot go on now: the provider did
        not answer and is asked later, what was opened is no longer what is to be debited, or a worker that took this
        one for dead has opened and sent it meanwhile.
        """
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, attempt_id)
            charge = await change.session.get_one(Charge, attempt.charge_id)
            unsent = attempt.status is AttemptStatus.PREPARED
            answered = opened.verdict in (Verdict.SUCCEEDED, Verdict.DECLINED)
            same = attempt.money == wanted.request.amount and attempt.credential_id == wanted.credential_id
            if unsent and answered:
                attempt.payment_id = opened.handle if same else None
            elif unsent:
                attempt.looks += 1
                attempt.evidence = opened.evidence
                if charge.next_attempt_at is not None:
                    charge.next_attempt_at = inquiries.next_try(attempt.looks, change.now)
        return None if unsent and answered and same else change.standing

    async def _pass_the_gate(self, change: Change, attempt: Attempt) -> _Dispatch | None:
        """What to send once this change has committed the attempt as sent; None if nothing may be sent."""
        if not await _may_send(change, attempt, self._bench.gateway(change).traits.queries):
            return None
        return await self._dispatch(change, attempt)

    async def _again(self, step: StepInput, attempt_id: str) -> _Dispatch | None:
        """What to send once more, of an attempt the provider never heard of."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, attempt_id)
            opened = attempt.payment_id is not None or not self._bench.gateway(change).traits.opens
            dispatch = await self._pass_the_gate(change, attempt) if opened else None
        return dispatch

    async def _record(self, step: StepInput, attempt_id: str, answer: ChargeAnswer) -> Standing:
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, attempt_id)
            await outcomes.record(change, attempt, answer, self._bench.gateway(change).traits, self._bench.links)
        return change.standing

    async def _dispatch(self, change: Change, attempt: Attempt) -> _Dispatch:
        agreement = change.agreement
        charge = await change.session.get_one(Charge, attempt.charge_id)
        used = attempt.credential_id
        credential = await change.session.get_one(Credential, used) if used else None
        return _Dispatch(
            gateway=self._bench.gateway(change),
            account=await self._bench.account(change),
            call=self._bench.call(agreement, change.now),
            request=ChargeRequest(
                request_id=attempt.gateway_request_id,
                order_id=order_id(agreement.id, charge.cycle, charge.id),
                description=cycles.described(change, charge),
                amount=attempt.money,
                payment_method=agreement.payment_method,
                token=self._bench.open_token(credential) if credential else "",
                notify_url=self._bench.notify_url(change),
                customer_id=agreement.customer_id,
                agreement_id=agreement.id,
                terms=change.terms,
                token_reference=credential.token_reference if credential else None,
                handle=attempt.payment_id,
                network_transaction_id=credential.network_transaction_id if credential else None,
                transaction_link_id=credential.transaction_link_id if credential else None,
            ),
            credential_id=attempt.credential_id,
        )


async def _prepare(change: Change, step: StepInput, links: Links) -> Attempt | None:
    """The attempt to go on with: the one this step made before it was interrupted, or a new one if it may be made."""
    made = await attempts.of(change.session, step.subject)
    existing = next((attempt for attempt in made if attempt.number == step.attempt), None)
    if existing is not None and existing.status is not AttemptStatus.PREPARED:
        return existing if existing.status.open else None
    charge = await change.row(Charge, step.subject)
    if await _in_flight(change, charge, made):
        return None
    if change.stopped or charge.next_attempt_at is None or charge.next_attempt_at > change.now:
        return None
    credential = await change.row(Credential, change.agreement.credential_id)
    if charge.cycle is not None and charge.cycle == await cycles.last_written(change):
        await cycles.write_next(change, charge.cycle + 1)
    if not await _cleared_to_try(change, charge, credential, links):
        return None
    if existing is not None:
        # It waited out a pause or a crash and was never sent: what it debits is what is owed now.
        if (existing.money, existing.credential_id) != (charge.money, credential.id):
            existing.amount, existing.currency = charge.money.value, charge.money.currency
            existing.credential_id, existing.fingerprint = credential.id, credential.fingerprint
            existing.payment_id = None
        return existing
    attempt = Attempt(
        id=ids.new("att"),
        agreement_id=charge.agreement_id,
        charge_id=charge.id,
        number=step.attempt,
        gateway_request_id=request_id(order_id(charge.agreement_id, charge.cycle, charge.id), step.attempt),
        status=AttemptStatus.PREPARED,
        currency=charge.money.currency,
        amount=charge.money.value,
        credential_id=credential.id,
        merchant_id=change.agreement.merchant_id,
        fingerprint=credential.fingerprint,
        prepared_at=change.now,
    )
    change.session.add(attempt)
    return attempt


async def _in_flight(change: Change, charge: Charge, made: Sequence[Attempt]) -> bool:
    """Whether money may be moving for this charge: then no other attempt starts, whoever asks for one.

    A page on which the customer may be paying it is closed first (design promise 5).
    """
    by_customer = any(attempt.authorization_id is not None for attempt in made)
    page = await first_payments.page_of(change.session, charge.id) if by_customer else None
    if page is not None:
        if page.status != "closing" and not await first_payments.close(change, page):
            page.status, page.next_try_at, page.expires_at = "expired", None, None
            return False
        return True
    if not any(attempt.status.open for attempt in made):
        return False
    charge.next_attempt_at = None
    return True


async def _being_paid(change: Change, charge: Charge) -> bool:
    """Whether the customer has a page on which to pay it: who follows a link in its last minutes has the page's time.

    What is given up may be carried to the next cycle, and must not be paid here as well (design promise 1).
    """
    page = await first_payments.page_of(change.session, charge.id)
    if page is not None:
        charge.act_by = max(page.expires_at or change.now, page.next_try_at or change.now) + _PAGE_SETTLES
    return page is not None


async def _cleared_to_try(change: Change, charge: Charge, credential: Credential, links: Links) -> bool:
    """Whether an attempt may be made now; where not, the charge says what became of it."""
    clearance = gate.clear(
        change,
        charge,
        plan=change.plan,
        means=Means(credential.token_expires_at, credential.refresh_at),
        last_success=await cycles.last_success_at(change) if gate.keeps_the_gap(charge) else None,
        debit_from=await notices.debit_from(change, charge),
        dead_card=await budgets.dead_card(change, credential),
        policy=change.policy,
        rulebook_version=rulebook.current().version,
        made=await cycles.made_on_demand(change, apart_from=charge),
    )
    if change.agreement.action_required and charge.status is ChargeStatus.ACTION_REQUIRED:
        await card_changes.ask(change, links, charge, change.agreement.action_required)
    if clearance is Clearance.LATE:
        await cycles.missed(change, charge)
    if clearance in (Clearance.LATE, Clearance.REFUSED):
        await lifecycle.complete_if_finished(change)
    return clearance is Clearance.GO


async def _debit(dispatch: _Dispatch) -> ChargeAnswer:
    return await dispatch.gateway.charge(dispatch.account, dispatch.request, dispatch.call)


async def _may_send(change: Change, attempt: Attempt, limits: QueryLimits) -> bool:
    """The gate of design promise 4, with everything it looks at read under the agreement's lock."""
    charge = await change.session.get_one(Charge, attempt.charge_id)
    credential = await change.session.get_one(Credential, attempt.credential_id)
    book = rulebook.current()
    # A new attempt is written once, as the gate leaves it: nothing looked at here counts one that is not sent.
    with change.session.no_autoflush:
        # Told to the workflow as well: a charge that is held must not be on its agenda.
        change.held = await stops.at_the_gate(change.session, change.agreement)
        clearance = gate.may_send(
            change,
            charge,
            attempt,
            plan=change.plan,
            spent=await budgets.read(change, credential, attempt.money, book),
            dead_card=await budgets.dead_card(change, credential),
            policy=change.policy,
            limits=limits,
            rulebook_version=book.version,
            made=await cycles.made_on_demand(change, apart_from=charge),
            held=bool(change.held),
        )
    if clearance is Clearance.REFUSED:
        await lifecycle.complete_if_finished(change)
    return clearance is Clearance.GO


async def _cancel(dispatch: _Dispatch, found: ChargeAnswer) -> ChargeAnswer:
    request = dispatch.request
    reversal = await dispatch.gateway.cancel(dispatch.account, request.request_id, dispatch.call, request.handle)
    if reversal.verdict is not Verdict.SUCCEEDED:
        return found
    return ChargeAnswer(Verdict.CANCELED, payment_id=found.payment_id, evidence="canceled_by_us")
