"""How a process's metrics are read: by the API's own `/metrics`, and by a private listener of every process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder

from store.database import Database
from telemetry.backlog import Backlog
from telemetry.metrics import REGISTRY


class Exposition:
    """What this process counted, and what its database says. Made on the event loop the database is used on."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(REGISTRY)
        self.registry.register(Backlog(database, asyncio.get_running_loop()))

    async def answer(self, accept: str) -> tuple[bytes, str]:
        """The text, in the format a scraper asks for in its Accept header, and its content type."""
        encode, content_type = choose_encoder(accept)
        # In a thread: what is written there waits for the database, which is asked on the event loop.
        return await asyncio.to_thread(encode, self.registry), content_type

    @contextmanager
    def listening(self, address: str | None) -> Iterator[None]:
        """Answers every GET at `host:port` while the block runs; nobody has to prove anything there."""
        if address is None:
            yield
            return
        host, _, port = address.rpartition(":")
        server, thread = start_http_server(int(port), host, registry=self.registry)
        try:
            yield
        finally:
            # A scrape under way may wait for the event loop, which must not wait for it here.
            server.shutdown()
            server.server_close()
            thread.join(timeout=1)
