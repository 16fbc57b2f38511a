"""The retry report (`docs/retry-report.md`): what plans recover on the shipped mix, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from importlib import resources
from pathlib import Path

from agreements import rulebook as rulebooks
from agreements.policies import RetryPolicy
from agreements.rulebook import Rulebook
from bench import mix as mixes
from bench import plans, replay
from bench.mix import Mix
from bench.plans import PolicyPlan, RetryPlan
from bench.replay import Score

ON = date(2026, 11, 1)
"""The day whose rules the report goes by; it never reads the clock."""

_COMPARED = ("stripe-like", "yuno", "daily")

_INTRODUCTION = """\
What retry plans recover of declined cycles, on customers drawn from `bench/decline_mix.toml`. It is a model: its shares
and recovery times are public figures where there are any, and assumptions where there are none, all listed below. It
says how plans compare on the same customers, not what a merchant will recover.

Each plan meets the same customers. No plan tries again what the rulebook forbids for good, none runs into the next
cycle, all refresh a wallet's dead token once. So the figures differ by timing alone. Recovered means by retries: what a
new card or a customer's action saves is not counted.
"""
_COLUMNS = """\
A hard decline is one after which nothing on that card may be tried again (Visa category 1, Mastercard 03 and 21, an
expired card). The network's waits are the floors of the rulebook: 24 hours after a generic or a money decline on Visa,
what Mastercard's codes 24 to 30 say. Fees are those for offences and for advised transactions; no plan here comes near
the ceilings on reattempts.
"""
_LEFT_OUT = """\
Not modelled: issuers that decline because they are asked often, customers who react to reminders, weekdays and hours at
which issuers are kinder, chargebacks. Agreements are monthly (60 %), weekly (25 %) and quarterly (15 %), in eight
countries, on wallets (40 %) and cards (Visa, Mastercard and unnamed networks alike): shares of ours, no merchant's.

Stripe chooses the instants of its retries by a model of its own; even spacing stands in for it. The policy `standard`
was set on other seeds than this page's."""


def compared(rulebook: Rulebook) -> list[RetryPlan]:
    """The plans of the report: ours, ours in two weeks, others'."""
    policies = rulebook.policies(ON)
    standard = policies["standard"]
    short = standard.model_copy(update={"window_days": 14, "name": "standard, 2 weeks"})
    ours = plans.own(policies, rulebook, ON)
    return [*ours, PolicyPlan(short, rulebook, "the same, cut after 14 days"), *plans.others(standard, rulebook)]


def scores(cases: int, seed: int) -> list[Score]:
    """Every plan on so many declined cycles."""
    book, mix = rulebooks.current(), mixes.load()
    cycles = replay.declined_cycles(mix, book, book.policies(ON)["standard"], cases, seed)
    return replay.compare(compared(book), cycles, mix, book)


def basis() -> str:
    """A fingerprint of what the figures depend on: the mix, and the timing of the named policies."""
    policies = rulebooks.current().policies(ON)
    timing = [f"{name} {_timing(policies[name])}" for name in sorted(policies)]
    raw = resources.files("bench").joinpath("decline_mix.toml").read_bytes()
    return sha256(raw + "\n".join(timing).encode()).hexdigest()[:12]


def write(page: Path, cases: int, seed: int) -> None:
    """Writes the page anew."""
    page.write_text(render(scores(cases, seed), cases, seed), encoding="utf-8")


def render(found: list[Score], cases: int, seed: int) -> str:
    """The page."""
    return "\n".join([*_head(cases, seed), *_table(found), *_reading(found), *_causes(found), *_assumed(), ""])


def _timing(policy: RetryPolicy) -> str:
    return policy.model_dump_json(include={"max_attempts", "window_days", "ladders", "pay_days"})


def _head(cases: int, seed: int) -> Iterator[str]:
    yield "# Retry report"
    yield ""
    yield f"Written by `autodebit bench report --cases {cases} --seed {seed}`; basis `{basis()}`."
    yield ""
    yield _INTRODUCTION
    yield f"Followed: {cases:,} cycles whose first attempt was declined."
    yield ""


def _table(found: list[Score]) -> Iterator[str]:
    yield (
        "| plan | what it does | recovered | attempts per declined cycle | retries of hard declines "
        "| retries before the network's wait | scheme fees, USD per 1,000 |"
    )
    yield "|---|---|---|---|---|---|---|"
    for score in found:
        fees = 1000 * score.fees / score.declined
        yield (
            f"| `{score.plan.name}` | {score.plan.what} | {score.recovery:.1%} | {score.attempts:.2f} "
            f"| {score.hard_retries} | {score.too_early:,} | {fees:.2f} |"
        )
    yield ""
    yield _COLUMNS


def _reading(found: list[Score]) -> Iterator[str]:
    by_name = {score.plan.name: score for score in found}
    standard = by_name["standard"]
    yield "## What it says"
    yield ""
    for name in _COMPARED:
        other = by_name[name]
        yield (
            f"- `standard` against `{name}`: {100 * (standard.recovery - other.recovery):+.1f} points recovered, "
            f"{standard.attempts - other.attempts:+.2f} attempts per declined cycle."
        )
    short, stripe, often = by_name["standard, 2 weeks"], by_name["stripe-like"], by_name["daily-14"]
    yield (
        f"- Part of that is patience: `standard` waits three weeks. Cut after two it recovers {short.recovery:.1%} "
        f"with {short.attempts:.2f} attempts, where 8 evenly spread retries recover {stripe.recovery:.1%} with "
        f"{stripe.attempts:.2f}."
    )
    yield (
        f"- Trying every day for two weeks recovers {often.recovery:.1%} with {often.attempts:.2f} attempts. The model "
        "has no issuer that answers worse when asked often: plans that try often look better here than in life."
    )
    yield ""


def _causes(found: list[Score]) -> Iterator[str]:
    names = [cause.name for cause in mixes.load().cause if any(score.recovered_by_cause[cause.name] for score in found)]
    yield "## Recovered, by what was wrong"
    yield ""
    yield "Share of all declined cycles. A plan sees the code, not the cause: half of `05` is an empty account."
    yield ""
    yield f"| plan | {' | '.join(f'`{name}`' for name in names)} |"
    yield "|---|" + "---|" * len(names)
    for score in found:
        cells = [f"{score.recovered_by_cause[name] / score.declined:.1%}" for name in names]
        yield f"| `{score.plan.name}` | {' | '.join(cells)} |"
    yield ""


def _assumed() -> Iterator[str]:
    yield "## What it rests on"
    yield ""
    yield "| figure | value | source |"
    yield "|---|---|---|"
    yield from _figures(mixes.load())
    yield ""
    yield _LEFT_OUT


def _figures(mix: Mix) -> Iterator[str]:
    first = mix.first_attempts
    yield f"| declined first attempts | wallets {first.wallet:.0%}, cards {first.card:.0%} | {first.source} |"
    for cause in mix.cause:
        share = f"wallets {cause.share.wallet:.1%}, cards {cause.share.card:.1%}"
        yield f"| declined for `{cause.name}` | {share} | {cause.source} |"
    for name in ("funds", "hold", "limit", "outage", "advice", "customers", "fees"):
        part = getattr(mix, name)
        values = ", ".join(f"{key} {_said(value)}" for key, value in part.model_dump(exclude={"source"}).items())
        yield f"| {name} | {values} | {part.source} |"
    for pay in mix.pay:
        values = ", ".join(f"{key} {value:.1%}" for key, value in pay.model_dump(exclude={"source", "region"}).items())
        where = "elsewhere" if pay.region == "*" else pay.region
        yield f"| pay-days, {where} | {values} | {pay.source} |"


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
