"""The database's part of the metrics: what waits and since when, read when somebody scrapes.

It is the same in every process that tells it: take the `max` over processes, never the sum.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from store import audit_log, backlog
from store.backlog import QUESTIONS, Waiting
from store.database import Database

log = structlog.get_logger(__name__)

_FRESH_SECONDS = 10.0
"""However many scrape: one reading in this time."""
_WITHIN_SECONDS = 5.0

ALL = (*QUESTIONS, audit_log.OPEN)
Reading = Mapping[str, Sequence[Waiting]]


class Backlog(Collector):
    """Reads on the event loop of the process; `collect` runs in the thread of whoever writes the answer."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._database, self._loop = database, loop
        self._read_at = -_FRESH_SECONDS
        self._last: Reading = {}
        self._one_at_a_time = asyncio.Lock()

    def collect(self) -> Iterator[Metric]:
        """The gauges; none but `autodebit_database_up` 0 when PostgreSQL does not answer in time."""
        waiting = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        try:
            reading = waiting.result(_WITHIN_SECONDS)
        except Exception as error:  # whatever it is, the process's own metrics are told
            waiting.cancel()
            log.warning("backlog_not_read", error=type(error).__name__)
            reading = {}
        yield GaugeMetricFamily(
            "autodebit_database_up", "Whether the gauges below could be read (1) or not (0).", float(bool(reading))
        )
        yield from families(reading)

    async def _read(self) -> Reading:
        async with self._one_at_a_time:
            if time.monotonic() - self._read_at > _FRESH_SECONDS:
                async with self._database.transaction() as session:
                    self._last = await backlog.read(session, ALL)
                self._read_at = time.monotonic()
            return self._last


def families(reading: Reading) -> Iterator[Metric]:
    """For every question a gauge of the count and one of the age of the oldest."""
    for question in ALL:
        count = GaugeMetricFamily(f"autodebit_{question.name}", question.meaning, labels=question.labels)
        oldest = GaugeMetricFamily(
            f"autodebit_{question.name}_oldest_seconds",
            f"{question.meaning} Age of the oldest.",
            labels=question.labels,
        )
        for row in reading.get(question.name, ()):
            count.add_metric(row.labels, row.count)
            oldest.add_metric(row.labels, row.oldest_seconds)
        yield count
        yield oldest
