"""An agreement from its first page to its end, at a running `dev`, and everything secret that had a part in it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from cli.demo.stories import ANA
from cli.embedded.stack import ReadyFile

GUESS = "sk_test_a-guess-that-opens-nothing"


async def lived(ready: ReadyFile, data: Path) -> set[str]:
    """What must stand in no log."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def call(method: str, path: str, body: Any = None, key: str = ready.secret_key) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": path}
            answer = await http.request(method, ready.api_url + path, json=body, headers=headers)
            assert answer.is_success or key == GUESS, answer.text
            return dict(answer.json())

        await call("GET", "/v1/agreements", key=GUESS)
        endpoint = await call("POST", "/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook"})
        clock = (await call("POST", "/v1/test-clocks", {"now": "2027-01-31T00:00:00Z"}))["id"]
        made = await call("POST", "/v1/agreements", {**ANA.agreement, "reference": "logged", "test_clock": clock})
        path = f"/v1/agreements/{made['id']}"
        form = {"decision": "approve", "script": "insufficient_funds,success"}
        async with asyncio.timeout(90):
            # A new worker's first step may take longer than the API waits for the page: then it is told later.
            while not (consent := (await call("GET", path))["authorization"]["url"]):
                await asyncio.sleep(0.05)
        sent_back = (await http.post(consent, data=form)).headers["location"]
        await http.get(sent_back)
        async with asyncio.timeout(90):
            while (await call("GET", path))["status"] != "active":
                await asyncio.sleep(0.05)
        links = [
            (await call("POST", f"{path}/portal-links", {}))["url"],
            (await call("POST", f"{path}/card-changes", {"initiator": "merchant"}))["url"],
        ]
        for url in links:
            assert (await http.get(url)).is_success
        await call("POST", f"/v1/test-clocks/{clock}/advance", {"to": "2027-03-05T00:00:00Z"})
        async with asyncio.timeout(170):
            while (await call("GET", f"/v1/test-clocks/{clock}"))["status"] != "ready":
                await asyncio.sleep(0.1)
        await call("POST", f"{path}/revoke", {"reason": "moved away"})
        known = (await http.get(f"{ready.sandboxes['antom']}/_sandbox/credentials")).json()["data"]
    keys = json.loads((data / "demo-merchant.json").read_text())["keys"]["antom"]
    back = urlsplit(sent_back)
    return {
        ready.secret_key,
        GUESS,
        endpoint["secret"].removeprefix("whsec_"),
        "".join(keys["private_key"].split())[200:260],
        back.path.rpartition("/")[2],
        *parse_qs(back.query)["authCode"],
        *(urlsplit(url).path.rpartition("/")[2] for url in links),
        *(row["token"] for row in known),
    }
