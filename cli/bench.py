"""`autodebit bench`: the engine simulated and audited, its retry policies compared, its speed and cost measured."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="bench", help="Simulate the engine, compare retry policies, measure speed and cost.", no_args_is_help=True
)


@app.command()
def simulate(
    cycles: Annotated[int, typer.Option(min=1, help="How many cycles to collect.")] = 1_000_000,
    lost: Annotated[float, typer.Option(min=0, max=0.5, help="Answers and notifications that get lost.")] = 0.05,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Notifications that come twice.")] = 0.02,
    shuffle: Annotated[float, typer.Option(min=0, max=1, help="Notifications that come hours late.")] = 0.05,
    crash: Annotated[float, typer.Option(min=0, max=0.2, help="Dead workers, at each commit and between two.")] = 0.001,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 1,
    policy: Annotated[str, typer.Option(help="The retry policy of every agreement.")] = "standard",
    jobs: Annotated[int, typer.Option(min=1, help="Processes; the result does not depend on it.")] = os.cpu_count()
    or 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Collect cycles from a model provider that breaks down, and audit its books against the engine's.

    Ends with 1 where anything happened that must never happen.
    """
    from rich.console import Console
    from rich.progress import Progress

    from agreements.policies import PolicyRefused
    from bench.running import Run, simulate
    from bench.tables import audit

    run = Run(cycles, seed, policy, lost, duplicate, shuffle, crash)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("cycles", total=cycles)
        try:
            outcome = simulate(run, jobs, lambda done: progress.advance(task, done))
        except PolicyRefused as refused:
            raise typer.BadParameter(refused.detail, param_hint="--policy") from None
    if as_json:
        typer.echo(json.dumps({"result": outcome.result, "seconds": round(outcome.seconds, 1)}, indent=2))
    else:
        Console().print(audit(outcome))
    raise typer.Exit(0 if outcome.sound else 1)


@app.command()
def api(
    agreements: Annotated[int, typer.Option(min=1, help="How many stand in the database.")] = 100_000,
    requests: Annotated[int, typer.Option(min=100, help="Of each kind, on each side.")] = 1_000,
    at_once: Annotated[int, typer.Option(min=1, help="How many at the same time.")] = 4,
    to: Annotated[Path | None, typer.Option(help="Write the result there as well, as JSON.")] = None,
) -> None:
    """Measure creating and reading agreements beside bare FastAPI and `start_workflow`, in the same run."""
    import asyncio

    from cli.bench_api import measure

    asyncio.run(measure(agreements, requests, at_once, to))


@app.command()
def run(
    quick: Annotated[
        bool, typer.Option("--quick", help="A smoke test of two minutes; its figures mean little.")
    ] = False,
    to: Annotated[Path, typer.Option(help="Where the figures go, as JSON.")] = Path("bench-results/bench.json"),
) -> None:
    """Measure everything in one run on this machine: collecting, the front door, a due day, what it costs.

    Ends with 1 where anything that was due was not debited exactly once.
    """
    import asyncio

    from rich.console import Console

    from bench.pages import in_words
    from bench.provider import WrongCount
    from cli import bench_run

    console = Console(highlight=False)
    try:
        figures = asyncio.run(bench_run.run(bench_run.QUICK if quick else bench_run.FULL, console))
    except WrongCount as wrong:
        console.print(f"[red]{wrong}[/red]", soft_wrap=True)
        raise typer.Exit(1) from None
    bench_run.written(figures, to)
    console.print(in_words(figures), soft_wrap=True, markup=False)
    console.print(f"written to {to}; `autodebit bench pages` puts them into the pages", soft_wrap=True)


@app.command()
def pages(
    figures: Annotated[Path, typer.Option("--from", help="What `autodebit bench run` has written.")] = Path(
        "bench-results/bench.json"
    ),
    docs: Annotated[Path, typer.Option(help="The folder of the pages.")] = Path("docs"),
) -> None:
    """Keep the figures of a run, and write docs/performance.md, docs/scale.md and their plots from them."""
    from bench.pages import keep

    for path in keep(docs, json.loads(figures.read_text())):
        typer.echo(f"{path} written")


@app.command()
def report(
    page: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/retry-report.md"),
    cases: Annotated[int, typer.Option(min=100, help="Declined cycles every plan has to follow.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same page.")] = 2026,
) -> None:
    """Compare the shipped retry policies with what others do, on the shipped decline mix, and write it down."""
    from bench.report import write

    write(page, cases, seed)
    typer.echo(f"{page} written")
