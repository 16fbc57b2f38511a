"""Cycles, charges and terms of a running agreement changed: on the rows first, then its workflow is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from starlette.responses import JSONResponse

from agreements import schedule
from agreements.money import Money
from agreements.views import AgreementView, ChargeView
from api import commands, telling
from api.drafts import policy_errors
from api.problems import Problem, not_found
from api.services import Services
from store import amendments, collect_now, coming, on_demand, reads, trail, views
from store.amendments import Wanted
from store.changes import Change, changing
from store.idempotency import Call
from store.merchants import Principal
from store.tables import Charge

Act = Callable[[Change], Awaitable[Charge]]
_Done = TypeVar("_Done")
_View = TypeVar("_View", AgreementView, ChargeView)


async def set_cycle(
    inside: Services, caller: Principal, agreement_id: str, number: int, amount: Money | None
) -> ChargeView:
    """Gives a coming cycle an amount of its own, or skips it where there is none. Raises Problem."""

    async def act(change: Change) -> Charge:
        if amount is None:
            return await coming.skip(change, number)
        return await coming.set_amount(change, number, amount)

    return await _changed(inside, caller, agreement_id, act, _charge_view)


async def prove_notice(
    inside: Services, caller: Principal, agreement_id: str, number: int, told_at: datetime
) -> ChargeView:
    """Takes down when the payer was told of a coming debit. Raises Problem."""

    async def act(change: Change) -> Charge:
        return await coming.prove_notice(change, number, told_at)

    return await _changed(inside, caller, agreement_id, act, _charge_view)


async def _charge_view(change: Change, charge: Charge) -> ChargeView:
    return await views.charge(change.session, charge)


async def amend(inside: Services, caller: Principal, agreement_id: str, wanted: Wanted) -> AgreementView:
    """Changes terms, retry policy and metadata. Raises Problem."""

    async def act(change: Change) -> None:
        today = schedule.today(change.terms.timezone, change.now)
        errors = [] if wanted.retry_policy is None else list(policy_errors(wanted.retry_policy, today))
        if errors:
            raise Problem("invalid_request", errors[0].detail, errors)
        await amendments.amend(change, wanted)

    async def show(change: Change, _: None) -> AgreementView:
        return await views.agreement(change.session, change.agreement, change.now)

    return await _changed(inside, caller, agreement_id, act, show)


async def ask(inside: Services, call: Call, agreement_id: str, amount: Money, description: str | None) -> JSONResponse:
    """The answer to a debit on demand, first or repeated. Raises Problem."""
    return await _charge(inside, call, agreement_id, lambda change: on_demand.ask(change, amount, description), 201)


async def collect(
    inside: Services, call: Call, agreement_id: str, cycle: int | None, charge_id: str | None
) -> JSONResponse:
    """The answer to a wish to collect a cycle or a charge now, first or repeated. Raises Problem."""

    async def act(change: Change) -> Charge:
        if cycle is not None:
            return await collect_now.by_cycle(change, cycle)
        return await collect_now.by_charge(change, charge_id or "")

    return await _charge(inside, call, agreement_id, act, 200)


async def _charge(inside: Services, call: Call, agreement_id: str, act: Act, status_code: int) -> JSONResponse:
    made: list[Charge] = []

    async def keep(change: Change) -> None:
        made.append(await act(change))

    async def show(change: Change) -> dict[str, Any]:
        return (await views.charge(change.session, made[0])).model_dump(mode="json")

    change, answer = await commands.once(inside, call, agreement_id, keep, show, status_code)
    if change is not None:
        await telling.look(inside, change.standing, change.delivery_ids)
    return answer


async def _changed(
    inside: Services,
    caller: Principal,
    agreement_id: str,
    act: Callable[[Change], Awaitable[_Done]],
    show: Callable[[Change, _Done], Awaitable[_View]],
) -> _View:
    """A change without an idempotency key: repeating it changes nothing anyway."""
    with commands.refusals():
        async with inside.database.transaction() as session:
            if not await reads.owns_agreement(session, caller, agreement_id):
                raise not_found("agreement")
            async with changing(session, agreement_id) as change:
                done = await act(change)
            answer = await show(change, done)
            trail.by_call(session, caller, answer.id, agreement_id)
    await telling.look(inside, change.standing, change.delivery_ids)
    return answer
