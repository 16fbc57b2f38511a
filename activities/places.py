"""Places for calls to receivers: one that is slow, or dead, takes only some of a worker's, and those it turns away come
back when there may be one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from store.tables import WebhookEndpoint

AT_ONCE = 20
"""Calls under way to one endpoint, per worker."""
AT_ONCE_WHILE_FAILING = 2
"""While nothing it was sent was taken. Enough to learn that it is well again."""

_SOONEST, _PATIENCE, _LONGEST = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass
class _Line:
    moved: float
    """When a call last ended, or the first began."""
    under_way: int = 0
    seconds: float = 1.0
    """What the latest call took."""
    promised: float = 0.0
    """Until then the next places have been promised to others."""


class Places:
    """Of one worker. `steady` is a clock in seconds that never goes back; tests bring their own."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._lines: dict[str, _Line] = {}

    def wait(self, endpoint: WebhookEndpoint, now: datetime) -> timedelta | None:
        """How long to stay away; None where there is a place.

        Who is turned away is promised a place behind those turned away before, at the pace at which calls end: asking
        again every second, hundreds of them would keep a worker busy. None waits longer than a minute, or than the
        endpoint has been failing, so that what waits is late by no more than the outage was long.
        """
        line = self._lines.get(endpoint.id)
        failing = endpoint.failing_since
        most = AT_ONCE if failing is None else AT_ONCE_WHILE_FAILING
        if line is None or line.under_way < most:
            return None
        steady = self._steady()
        line.promised = max(line.promised, steady) + max(line.seconds, steady - line.moved) / most
        patience = _PATIENCE if failing is None else min(max(_PATIENCE, now - failing), _LONGEST)
        return min(max(timedelta(seconds=line.promised - steady), _SOONEST), patience)

    @contextmanager
    def taken(self, endpoint_id: str) -> Iterator[None]:
        """A place for as long as the block takes."""
        began = self._steady()
        line = self._lines.setdefault(endpoint_id, _Line(moved=began))
        line.under_way += 1
        try:
            yield
        finally:
            line.under_way -= 1
            line.moved = self._steady()
            line.seconds = line.moved - began
            if not line.under_way:
                del self._lines[endpoint_id]
