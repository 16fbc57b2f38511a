"""`autodebit rulebook replay`: what another retry policy would probably have recovered."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from agreements.policies import RetryPolicy
    from agreements.rulebook import Rulebook

_ASSUMES = (
    "Attempts that were never made are answered by the customers of the decline mix who fit what was recorded; "
    "each charge counts with their mean. What a customer or a person did is not a policy's merit and is left out."
)


def replay(
    policy: Annotated[str, typer.Option(help="A policy's name, or a TOML or JSON file with one of your own.")],
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only cycles due from this day on (UTC).")
    ] = None,
    mix: Annotated[
        Path | None, typer.Option(help="Follow this decline mix instead of what the database recorded.")
    ] = None,
    cases: Annotated[int, typer.Option(min=100, help="With --mix: declined cycles to follow.")] = 5_000,
    seed: Annotated[int, typer.Option(help="With --mix: the same seed gives the same customers.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Try a retry policy on recorded declines, read from AUTODEBIT_DATABASE_URL, or on a decline mix."""
    from agreements import rulebook as rulebooks

    folder = os.environ.get("AUTODEBIT_RULEBOOK")
    book = rulebooks.use(Path(folder) if folder else None)
    chosen = _policy(policy, book)
    if mix is not None:
        found = _on_mix(chosen, book, mix, cases, seed)
    else:
        found = asyncio.run(_on_records(chosen, book, since.replace(tzinfo=UTC) if since else None))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, value in found.items():
        typer.echo(f"{name.replace('_', ' ')}: {value}")


def _policy(wanted: str, book: Rulebook) -> RetryPolicy:
    from agreements.policies import PolicyRefused, resolve

    path, own = Path(wanted), dict[str, Any]()
    try:
        if path.suffix == ".toml":
            own = tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".json":
            own = json.loads(path.read_text(encoding="utf-8"))
        return resolve(own or wanted, book, datetime.now(UTC).date())
    except PolicyRefused as refused:
        raise typer.BadParameter(str(refused), param_hint="--policy") from None
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--policy") from None


def _on_mix(policy: RetryPolicy, book: Rulebook, path: Path, cases: int, seed: int) -> dict[str, Any]:
    from bench import mix as mixes
    from bench import plans
    from bench.replay import compare, declined_cycles

    mix, standard = mixes.load(path), book.policies(datetime.now(UTC).date())["standard"]
    tried = [plans.PolicyPlan(policy, book, "tried"), plans.PolicyPlan(standard, book, "for comparison")]
    new, usual = compare(tried, declined_cycles(mix, book, standard, cases, seed), mix, book)
    return {
        "policy": policy.name,
        "mix": mix.version,
        "declined_cycles": cases,
        "recovered": new.recovered,
        "given_up": cases - new.recovered,
        "attempts": new.tries,
        "retries_of_hard_declines": new.hard_retries,
        "scheme_fees_usd": round(new.fees, 2),
        "standard_recovers": usual.recovered,
        "standard_attempts": usual.tries,
        "assumes": f"customers as in {path.name}: {mix.fees.source}",
    }


async def _on_records(policy: RetryPolicy, book: Rulebook, since: datetime | None) -> dict[str, Any]:
    from bench import mix as mixes
    from bench import plans, recorded
    from store.database import Database

    url = os.environ.get("AUTODEBIT_DATABASE_URL")
    if not url:
        raise typer.BadParameter("AUTODEBIT_DATABASE_URL is not set, and no --mix was given")
    database = Database(url, pool_size=1)
    try:
        past = await recorded.read(database, book, policy, since)
    finally:
        await database.close()
    found = recorded.compare(past, plans.PolicyPlan(policy, book, "tried"), mixes.load(), book)
    return {
        "policy": policy.name,
        "declined_cycles": len(past),
        "left_out_only_others_could_help": found.by_others,
        "left_out_no_customer_of_the_mix_fits": found.unexplained,
        "compared": found.compared,
        "recovered_then": found.recovered,
        "recovered_expected": round(found.expected_recovered, 1),
        "given_up_then": found.compared - found.recovered,
        "given_up_expected": round(found.compared - found.expected_recovered, 1),
        "attempts_then": found.attempts,
        "attempts_expected": round(found.expected_attempts, 1),
        "retries_of_hard_declines_expected": round(found.expected_hard_retries, 2),
        "scheme_fees_usd_expected": round(found.expected_fees, 2),
        "assumes": _ASSUMES,
    }
