"""Three hundred debits at once, and every kind of process killed in turn: nothing is lost and nothing is doubled
(design promises 1, 6 and 9).
"""

from __future__ import annotations

import pytest

from tests.soak.due_day import IN_TURN, run
from tests.support.folders import data_folder


@pytest.mark.processes
@pytest.mark.timeout(1800)
async def test_everything_is_killed_in_turn_while_three_hundred_debits_are_due_together() -> None:
    with data_folder() as folder:
        day = await run(300, folder)
    assert day.differences == [], str(day)
    assert len(day.amounts) == 300
    assert sorted(kill.kind for kill in day.killed) == sorted(kill.kind for kill in IN_TURN)
