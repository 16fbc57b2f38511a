"""Pages of lists: opaque cursors that name the last row shown, so that rows written meanwhile move nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class BadCursor(ValueError):
    """Not a cursor of this list."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list, and where the next page goes on."""

    rows: list[T]
    next_cursor: str | None


def of(name: str, *owner: object) -> str:
    """Which list, and whose: a cursor of another one is not taken for one of this."""
    return hashlib.sha256(json.dumps([name, *map(str, owner)]).encode()).hexdigest()[:12]


def cut(rows: Sequence[T], limit: int, list_: str, key: Callable[[T], Sequence[str | int]]) -> Page[T]:
    """A page of a list, by `of`, from up to `limit` + 1 rows: the one too many only tells that there are more."""
    if len(rows) <= limit:
        return Page(list(rows), None)
    return Page(list(rows[:limit]), cursor(list_, key(rows[limit - 1])))


def cursor(list_: str, parts: Sequence[str | int]) -> str:
    """The cursor of a row whose place in the list's order is given by `parts`."""
    return base64.urlsafe_b64encode(json.dumps([list_, *parts]).encode()).decode().rstrip("=")


def place(text: str, list_: str, *kinds: type[str] | type[int]) -> list[str | int]:
    """What `cursor` was made of. Raises BadCursor unless it is of this list and has parts of these kinds."""
    found, *parts = opened(text, str, *kinds)
    if found != list_:
        raise BadCursor(text)
    return parts


def opened(text: str, *kinds: type[str] | type[int]) -> list[str | int]:
    """All that is in a cursor. Raises BadCursor unless it has parts of these kinds."""
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCursor(text) from error
    if not isinstance(parts, list) or tuple(map(type, parts)) != kinds:
        raise BadCursor(text)
    if any(_unstorable(part) for part in parts):
        raise BadCursor(text)
    return parts


def _unstorable(part: str | int) -> bool:
    """A number beyond 64 bits, or text PostgreSQL cannot hold."""
    return not part.isprintable() if isinstance(part, str) else abs(part) >= 2**63
