"""How a command ends that has talked to Temporal: at once, with its own code."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = """
import atexit, sys
import typer
from cli import main
{used}
atexit.register(lambda: print("taken apart"))

@main.app.command("end")
def end() -> None:
    print("done")
    raise typer.Exit(3)

sys.argv = ["autodebit", "end"]
main.main()
"""


@pytest.mark.parametrize(
    ("used", "printed"),
    [("import temporalio.bridge.temporal_sdk_bridge", ["done"]), ("", ["done", "taken apart"])],
)
def test_python_is_not_taken_apart_under_the_threads_of_temporals_client(used: str, printed: list[str]) -> None:
    ended = subprocess.run([sys.executable, "-c", COMMAND.format(used=used)], stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout.split("\n")[:-1]) == (3, printed)
