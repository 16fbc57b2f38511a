"""The HTTP API as the command line uses it: through the same front door as any merchant's backend, with a key.

What goes wrong is told in one line with what to do, and by the exit code: 1 refused, 2 used wrongly, 3 not reachable.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import typer

REFUSED, WRONG, NOT_REACHABLE = 1, 2, 3
READY = Path(".autodebit") / "ready.json"
"""Where `autodebit dev` leaves its address and key while it runs, with the data folder it uses by itself."""

_LARGEST_PAGE = 200

Json = dict[str, Any]


class Stopped(Exception):
    """Ends a command: the line to say, and the exit code."""

    def __init__(self, said: str, code: int) -> None:
        super().__init__(said)
        self.code = code


class FrontDoor:
    """Calls on behalf of one merchant in one mode. Raises Stopped."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **query: str | int | None) -> Json:
        """One object, or one page."""
        return self._call("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Json) -> Json:
        """One change, under an idempotency key of its own."""
        return self._call("POST", path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def all(self, path: str, limit: int | None = None, **query: str | None) -> list[Json]:
        """The first entries of a list, page by page; every one unless a limit is given."""
        return list(islice(self._entries(path, limit, query), limit))

    def _entries(self, path: str, limit: int | None, query: dict[str, str | None]) -> Iterator[Json]:
        cursor = "after" if path == "/v1/events" else "cursor"
        size = min(limit or _LARGEST_PAGE, _LARGEST_PAGE)
        while True:
            page = self.get(path, limit=size, **query)
            yield from page["data"]
            if not page["has_more"]:
                return
            query = query | {cursor: page["next_cursor"]}

    def _call(self, method: str, path: str, **request: Any) -> Json:
        try:
            answer = self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise Stopped(
                f"{self._client.base_url} does not answer ({_reason(error)}). {_START}", NOT_REACHABLE
            ) from error
        if answer.is_success and answer.headers.get("content-type") == "application/json":
            found: Json = answer.json()
            return found
        raise _refusal(answer)


@contextmanager
def opened() -> Iterator[FrontDoor]:
    """The API of the environment, or of the `autodebit dev` that runs here; what stops the command is said."""
    try:
        url, key = _address()
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        ) as client:
            yield FrontDoor(client)
    except Stopped as stopped:
        typer.echo(f"autodebit: {stopped}", err=True)
        raise typer.Exit(stopped.code) from None


def path(*parts: str) -> str:
    """The address of something: whatever is typed for an id names one thing, which may not exist."""
    return "/".join(("/v1", *(quote(part, safe="") for part in parts)))


def as_json(found: Json | list[Json]) -> None:
    """For scripts: what the API answered."""
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


_START = "Start it, or set AUTODEBIT_API_URL to where it runs."
_NOWHERE = (
    "no API to ask: set AUTODEBIT_API_URL and AUTODEBIT_API_KEY, or run `autodebit dev` in this folder (docs/cli.md)"
)


def _address() -> tuple[str, str]:
    """Address and key; each from the environment, else from the running `dev`."""
    running: Json = json.loads(READY.read_text()) if READY.exists() else {}
    url = os.environ.get("AUTODEBIT_API_URL") or running.get("api_url")
    key = os.environ.get("AUTODEBIT_API_KEY") or running.get("secret_key")
    if not url or not key:
        raise Stopped(_NOWHERE, WRONG)
    return _checked(url, key.strip())


def _checked(url: str, key: str) -> tuple[str, str]:
    """Here, since the client's own words for what cannot be sent would show the key."""
    try:
        sound = httpx.URL(url).scheme in ("http", "https")
    except httpx.InvalidURL:
        sound = False
    if not sound:
        raise Stopped(f"AUTODEBIT_API_URL is no address: {url!r}. It begins with https:// or http://.", WRONG)
    if not (key.isascii() and key.isprintable()):
        raise Stopped("AUTODEBIT_API_KEY holds characters that no key has. Copy it anew.", WRONG)
    return url, key


def _refusal(answer: httpx.Response) -> Stopped:
    if answer.headers.get("content-type") != "application/problem+json":
        return Stopped(f"{answer.url} answered {answer.status_code}, not as the API does. {_START}", NOT_REACHABLE)
    problem: Json = answer.json()
    fields = [f"{found['pointer']}: {found['detail']}" for found in problem.get("errors", [])]
    detail = "; ".join(fields) or problem["detail"]
    away = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    said = f"{detail[:1].upper()}{detail[1:]}. {problem['next']} ({problem['code']})"
    return Stopped(said, NOT_REACHABLE if away else REFUSED)


def _reason(error: httpx.TransportError) -> str:
    return "too slow" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
