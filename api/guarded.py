"""Routes without a key, whose path says who may: a provider's account, or a token nobody can guess."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.peers import peer
from api.problems import Problem
from api.services import Services


class GuardedRoute(APIRoute):
    """A route that counts for its caller's address what is not there, and answers 429 when that is too much.

    What is there is found all the same: tokens have 256 random bits, which no number of guesses finds, so nobody pays
    for what others try from the same address.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, minded."""
        handle = super().get_route_handler()

        async def minded(request: Request) -> Response:
            try:
                answer = await handle(request)
            except Problem as problem:
                if problem.code == "not_found":
                    _missed(request)
                raise
            if answer.status_code == 404:
                _missed(request)
            return answer

        return minded


def _missed(request: Request) -> None:
    services: Services = request.app.state.services
    services.limits.missed(request, peer(request).ip)
