"""Declaring payments at customs, one provider call at a time. A repeat after a crash is harmless under the same id."""

from __future__ import annotations

import json
from dataclasses import dataclass

from temporalio import activity

from activities.contract import DECLARE, DeclarationInput
from activities.workbench import Workbench
from agreements import declarations as rules
from agreements.declarations import DeclarationStanding
from gateways.port import Account, Call, CustomsBuyer, DeclarationAnswer, DeclarationRequest, Declares
from store import declarations
from store.changes import Change
from store.tables import Attempt, Charge, Declaration


@dataclass(frozen=True)
class _Dispatch:
    """Everything one call needs, read under the lock that committed it."""

    gateway: Declares
    account: Account
    call: Call
    question: bool
    request: DeclarationRequest


class Declarations:
    """The step that brings a declaration closer to its end."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=DECLARE)
    async def declare(self, given: DeclarationInput) -> DeclarationStanding:
        """The next call: the declaration itself until the provider has it, then what became of it."""
        async with self._bench.change(given.agreement_id, given.at) as change:
            dispatch = await self._committed(change, given.declaration_id)
        if dispatch is not None:
            answer = await _ask(dispatch)
            async with self._bench.change(given.agreement_id, given.at) as change:
                await _record(change, given.declaration_id, answer)
        return await declarations.current(self._bench.database, given.declaration_id)

    async def _committed(self, change: Change, declaration_id: str) -> _Dispatch | None:
        """The call to make now, written down as made; None once the outcome is known."""
        declaration = await change.session.get_one(Declaration, declaration_id)
        before, gateway = declarations.progress(declaration), self._bench.gateway(change)
        if before.next_at is None:
            return None
        if not isinstance(gateway, Declares):
            raise TypeError(f"{change.agreement.gateway} declares nothing at customs")
        charge = await change.session.get_one(Charge, declaration.charge_id)
        declarations.apply(change, declaration, charge, rules.sent(before, change.now), None)
        attempt = await change.session.get_one(Attempt, declaration.attempt_id)
        return _Dispatch(
            gateway=gateway,
            account=await self._bench.account(change),
            call=self._bench.call(change.agreement, change.now),
            question=before.accepted,
            request=DeclarationRequest(
                request_id=declaration.id,
                payment_id=attempt.payment_id or "",
                amount=declaration.money,
                customs_code=declaration.customs_code,
                merchant_code=declaration.merchant_code,
                merchant_name=declaration.merchant_name,
                sub_order_id=declaration.sub_order_id,
                buyer=self._buyer(declaration),
            ),
        )

    def _buyer(self, declaration: Declaration) -> CustomsBuyer | None:
        """In clear for one call."""
        if declaration.sealed_buyer is None:
            return None
        return CustomsBuyer(**json.loads(self._bench.vault.open(declarations.SEALED_AS, declaration.sealed_buyer)))


async def _ask(dispatch: _Dispatch) -> DeclarationAnswer:
    gateway, account, call = dispatch.gateway, dispatch.account, dispatch.call
    if dispatch.question:
        return await gateway.inquire_declaration(account, dispatch.request.request_id, call)
    return await gateway.declare(account, dispatch.request, call)


async def _record(change: Change, declaration_id: str, answer: DeclarationAnswer) -> None:
    declaration = await change.session.get_one(Declaration, declaration_id)
    declaration.evidence = answer.evidence or declaration.evidence
    declaration.facts = {**declaration.facts, **answer.facts}
    charge = await change.session.get_one(Charge, declaration.charge_id)
    after = rules.answered(declarations.progress(declaration), answer.verdict, change.now)
    declarations.apply(change, declaration, charge, after, answer.decline)
