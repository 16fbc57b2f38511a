"""The simulation's rows: what the store keeps of an agreement, as plain objects for `agreements/collection.py`.

A transaction that will be rolled back works on a copy of an agreement; what never changes is shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agreements.attempts import order_id
from agreements.money import Money
from agreements.policies import RetryPolicy
from agreements.schedule import Plan
from agreements.standing import Identity
from agreements.status import AgreementStatus, AttemptStatus, ChargePurpose, ChargeStatus, Stop
from bench.customers import Payer

OVER = frozenset({ChargeStatus.SUCCEEDED, ChargeStatus.FAILED, ChargeStatus.SKIPPED, ChargeStatus.CANCELED})


@dataclass(frozen=True, slots=True)
class Contract:
    """What never changes about an agreement."""

    id: str
    gateway: str
    identity: Identity
    plan: Plan
    money: Money
    amount_text: str
    last_cycle: int
    policy: RetryPolicy
    payer: Payer

    def __deepcopy__(self, _memo: dict[int, Any]) -> Contract:
        return self


@dataclass(slots=True)
class Credential:
    """A token in use. `account` is the card or wallet behind it, `generation` counts its refreshes."""

    account: str
    network: str | None
    refreshable: bool
    generation: int = 1
    token_expires_at: datetime | None = None
    refresh_at: datetime | None = None

    @property
    def token(self) -> str:
        return f"{self.account}/{self.generation}"


@dataclass(slots=True)
class Attempt:
    """One debit tried."""

    charge_id: str
    number: int
    request_id: str
    money: Money
    credential: Credential
    status: AttemptStatus = AttemptStatus.PREPARED
    authorization_id: str | None = None
    payment_id: str | None = None
    decline: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    evidence: str | None = None
    looks: int = 0
    looked_at: datetime | None = None
    times_not_found: int = 0
    next_look_at: datetime | None = None
    sent_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(slots=True)
class Charge:
    """One cycle's amount owed, with its attempts by number."""

    id: str
    cycle: int | None
    money: Money
    amount: int | None
    due_at: datetime
    next_attempt_at: datetime | None
    purpose: ChargePurpose = ChargePurpose.CYCLE
    status: ChargeStatus = ChargeStatus.SCHEDULED
    act_by: datetime | None = None
    catch_up: bool = False
    attempts_made: int = 0
    canceled_at: datetime | None = None
    paid_at: datetime | None = None
    why: str = ""
    """The rule or event that ended it."""
    attempts: dict[int, Attempt] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Nothing will happen to it by itself any more."""
        return self.status in OVER and not any(attempt.status.open for attempt in self.attempts.values())


@dataclass(slots=True)
class Reversal:
    """Money that has to go back."""

    request_id: str
    next_try_at: datetime | None
    tries: int = 0


@dataclass(slots=True)
class Agreement:
    """An agreement's row with those of its charges. `open` are the charges something may still happen to."""

    contract: Contract
    credential: Credential
    stop: Stop = Stop.NONE
    ended: AgreementStatus | None = None
    ended_at: datetime | None = None
    action_required: str | None = None
    currency: str | None = None
    last_written: int = 0
    last_success: datetime | None = None
    version: int = 0
    open: dict[int, Charge] = field(default_factory=dict)
    over: dict[int, Charge] = field(default_factory=dict)
    reversals: list[Reversal] = field(default_factory=list)

    def charge(self, charge_id: str) -> Charge:
        """The charge of an id. Raises KeyError."""
        cycle = int(charge_id.rpartition("-c")[2])
        return self.open[cycle] if cycle in self.open else self.over[cycle]

    def attempt(self, request_id: str) -> tuple[Charge, Attempt]:
        """An attempt by its request id, with its charge. Raises KeyError."""
        order, _, number = request_id.rpartition("-a")
        charge = self.charge(order)
        return charge, charge.attempts[int(number)]

    def write(self, cycle: int, due_at: datetime) -> None:
        """Writes a cycle as scheduled."""
        contract = self.contract
        charge_id = order_id(contract.id, cycle, "")
        self.open[cycle] = Charge(charge_id, cycle, contract.money, contract.money.value, due_at, due_at)
        self.last_written = cycle
