"""What a refund's and a declaration's workflow have in common: they live beside an agreement, by its clock, and ask now
and then what became of theirs.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow


class Beside:
    """The time such a workflow goes by, its waits, and what ends them."""

    def __init__(self, as_of: datetime, *, on_test_clock: bool) -> None:
        self._clock, self._on_test_clock = as_of, on_test_clock
        self._nudges = 0
        self._revision = 0

    @workflow.signal
    def tick(self, now: datetime) -> None:
        """The agreement's test clock has moved."""
        if now > self._clock:
            self._clock = now
            self._revision += 1

    @workflow.signal
    def nudge(self) -> None:
        """Another build of the worker is wanted: what rests is to go on with it."""
        self._nudges += 1
        self._revision += 1

    async def _rest(self, due_at: datetime | None) -> None:
        """Waits for the next call or for news. A test clock stands still, so only its tick can end the wait."""
        seen = self._revision
        wait = None if due_at is None or self._on_test_clock else due_at - self._now()
        try:
            await workflow.wait_condition(
                lambda: self._revision != seen, timeout=wait, timeout_summary="ask the provider again"
            )
        except TimeoutError:
            return

    def _now(self) -> datetime:
        return self._clock if self._on_test_clock else workflow.now()
