"""`autodebit demo` as a newcomer runs it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.mark.processes
@pytest.mark.timeout(900)  # a whole stack of its own, beside what other tests run
async def test_three_years_are_collected_audited_and_nothing_is_left() -> None:
    with tempfile.TemporaryDirectory(prefix="autodebit-test-") as folder:
        Path(folder).chmod(0o755)
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            "demo",
            env={**os.environ, "TMPDIR": folder},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await program.communicate()
        said = output.decode()
        assert program.returncode == 0, said
        assert "antom  12 debits, PHP 5,988.00" in said
        assert "ottu   12 debits, KWD 150.000" in said
        assert "pivot  12 debits, IDR 1,800,000.00" in said
        assert "0 differences" in said
        assert "insufficient_funds; again 2027-04-01 09:00" in said
        assert "the answer got lost" in said
        declined, _, helped = said.partition("declined: expired_card; only the customer can help")
        assert "Noor  cycle  6  KWD 12.500" in declined
        assert "Noor  cycle  6  KWD 12.500 collected (attempt 2)" in helped
        assert "Noor  another card is in use, ending in 1019" in helped
        assert not list(Path(folder).iterdir())
        assert not _processes_naming(folder)


def _processes_naming(folder: str) -> list[str]:
    """Command lines that mention the folder: everything the demo starts has its data there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if folder in command:
            found.append(command)
    return found
