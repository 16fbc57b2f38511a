"""Who is simulated: customers in several countries, each with one or two agreements at one merchant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from agreements import schedule
from agreements.money import Money
from agreements.policies import RetryPolicy
from agreements.rulebook import Rulebook
from agreements.schedule import Plan
from agreements.standing import Identity
from agreements.terms import AgreementType, Frequency, Terms
from bench.customers import Payer
from bench.records import Agreement, Contract, Credential

# Region, zone, currency, an amount in minor units.
_PLACES = (
    ("PH", "Asia/Manila", "PHP", 49900),
    ("ID", "Asia/Jakarta", "IDR", 5500000),
    ("KW", "Asia/Kuwait", "KWD", 7500),
    ("US", "America/New_York", "USD", 1999),
    ("BR", "America/Sao_Paulo", "BRL", 3990),
    ("DE", "Europe/Berlin", "EUR", 1499),
    ("AU", "Australia/Sydney", "AUD", 2499),
    ("KR", "Asia/Seoul", "KRW", 14900),
)
_GATEWAYS = (("antom", 0.4), ("ottu", 0.3), ("pivot", 0.3))
_NETWORKS = ("visa", "mastercard", None)
# Frequency, its share, minimum gap in days, fewest and most cycles.
_FREQUENCIES = (
    (Frequency.MONTHLY, 0.6, 25, 6, 24),
    (Frequency.WEEKLY, 0.25, 7, 13, 52),
    (Frequency.QUARTERLY, 0.15, 80, 4, 8),
)
_EARLIEST, _START_DAYS = date(2026, 1, 1), 700


@dataclass(frozen=True, slots=True)
class Promise:
    """When each cycle of an agreement is due, computed once and apart from the engine: what the audit goes by."""

    contract: Contract
    due: dict[int, datetime]


def draw(
    rng: Random, name: str, policy: RetryPolicy, rulebook: Rulebook, most_cycles: int
) -> tuple[str, list[Agreement], list[Promise]]:
    """One household: its provider and its agreements, of at most `most_cycles` cycles together."""
    [gateway] = rng.choices([each for each, _ in _GATEWAYS], [share for _, share in _GATEWAYS])
    network = rng.choice(_NETWORKS) if gateway != "antom" else None
    place = rng.choice(_PLACES)
    # Two agreements on one card of one merchant share its budgets; a third of them over the same amount.
    count = 2 if gateway != "antom" and rng.random() < 0.4 else 1
    same_amount = rng.random() < 1 / 3
    agreements, promises = list[Agreement](), list[Promise]()
    for index in range(count):
        if most_cycles <= 0:
            break
        amount = place[3] if same_amount else place[3] + index * 100
        contract = _contract(rng, f"{name}-{index}", gateway, network, place, amount, policy, rulebook, most_cycles)
        most_cycles -= contract.last_cycle
        agreements.append(Agreement(contract, Credential(f"{name}-card", network, refreshable=gateway == "antom")))
        cycles = range(1, contract.last_cycle + 1)
        promises.append(Promise(contract, {cycle: schedule.due_at(contract.plan, cycle) for cycle in cycles}))
    return gateway, agreements, promises


def _contract(
    rng: Random,
    name: str,
    gateway: str,
    network: str | None,
    place: tuple[str, str, str, int],
    amount: int,
    policy: RetryPolicy,
    rulebook: Rulebook,
    most_cycles: int,
) -> Contract:
    region, zone, currency, _ = place
    [(frequency, _, gap, fewest, most)] = rng.choices(_FREQUENCIES, [row[1] for row in _FREQUENCIES])
    start = _EARLIEST + timedelta(days=rng.randrange(_START_DAYS))
    monthly = frequency is not Frequency.WEEKLY
    money = Money(currency=currency, value=amount)
    terms = Terms(
        type=AgreementType.RECURRING,
        amount=money,
        frequency=frequency,
        cycle_interval_days=gap,
        payment_processing_day=rng.choice((1, 5, 15, 28, 31, "last", None)) if monthly else None,
        start_date=start,
        total_cycles=min(rng.randint(fewest, most), most_cycles),
        timezone=zone,
        debit_time=rng.choice(("02:30", "09:00", "09:00", "18:00")),
        debit_window_minutes=rng.choice((None, None, 120)),
    )
    plan = Plan(terms, name)
    return Contract(
        id=name,
        gateway=gateway,
        identity=Identity(
            id=name, merchant_id="merchant", gateway=gateway, customer_id=name, reference=name, test_clock_id=None
        ),
        plan=plan,
        money=money,
        amount_text=str(money),
        last_cycle=schedule.last_cycle(plan) or 0,
        policy=policy,
        payer=Payer(gateway, region, zone, network, rulebook.paydays(region)),
    )
