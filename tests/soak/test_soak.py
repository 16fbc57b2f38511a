"""Every promise at once: kill any process at any moment, nothing is lost and nothing is doubled (design promise 9)."""

from __future__ import annotations

import pytest

from tests.soak.scenario import Size, run
from tests.support.folders import data_folder

SEED = 1


@pytest.mark.timeout(300)
async def test_every_kind_of_process_is_killed_while_agreements_are_collected() -> None:
    with data_folder() as folder:
        outcome = await run(Size(agreements=13, cycles=3, per_clock=7, kills=1), SEED, folder)
    assert outcome.differences == [], str(outcome)
    assert {kill.kind for kill in outcome.killed} == {"postgres", "temporal", "sandbox", "worker", "api"}
