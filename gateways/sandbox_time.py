"""The time of our own sandboxes, which move with an agreement's test clock (design §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import httpx


@dataclass(frozen=True)
class SandboxClock:
    """Where a sandbox stands: what falls due there next, and how much of what was due is not finished."""

    next_due_at: datetime | None
    outstanding: int


class SandboxTime:
    """One sandbox's side of a test clock. Raises httpx.HTTPError when the sandbox is away."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, clock_id: str) -> None:
        self._client = client
        self._url = f"{base_url}/_sandbox/clocks/{clock_id}"

    async def read(self) -> SandboxClock:
        """What the sandbox still has to do."""
        answer = (await self._client.get(self._url)).raise_for_status().json()
        due = answer["next_due_at"]
        return SandboxClock(datetime.fromisoformat(due) if due else None, int(answer["outstanding"]))

    async def advance(self, to: datetime) -> None:
        """Moves the sandbox's time forward; what falls due there starts at once."""
        (await self._client.post(f"{self._url}/advance", json={"to": to.isoformat()})).raise_for_status()
