"""Whoever is told: the receiver of the engine's webhooks, and of the sandbox's notifications to the bare loop.

Run as a process: `python -m bench.listener PORT`. It says yes to everything and counts.
"""

from __future__ import annotations

import sys
from collections import Counter

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateways.antom.notifications import ACKNOWLEDGED


def app() -> Starlette:
    """`POST /webhooks` and `POST /notifications` are taken, `GET /counts` tells how many of each have come."""
    counts: Counter[str] = Counter()

    async def webhook(request: Request) -> Response:
        await request.body()
        counts["webhooks"] += 1
        return Response(status_code=204)

    async def notification(request: Request) -> Response:
        await request.body()
        counts["notifications"] += 1
        return Response(ACKNOWLEDGED, media_type="application/json")

    async def told(_: Request) -> Response:
        return JSONResponse(dict(counts))

    return Starlette(
        routes=[
            Route("/webhooks", webhook, methods=["POST"]),
            Route("/notifications", notification, methods=["POST"]),
            Route("/counts", told),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
