"""Which statements a worker sends to PostgreSQL, counted per debit."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

_TABLE = re.compile(
    r"^\s*(select|insert|update|delete)\b.*?\b(?:from|into|update)\s+\"?(\w+)", re.IGNORECASE | re.DOTALL
)
_BRACKETS = re.compile(r"\([^()]*\)")
_UPDATE = re.compile(r"^\s*update\s+\"?(\w+)", re.IGNORECASE)
_DEBIT = "insert attempts"
"""There is one for each."""


class Statements:
    """Counts every statement and every commit of this process."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._commits = 0

    def begin(self) -> None:
        """Counts from now on."""
        event.listen(Engine, "before_cursor_execute", self._sent)
        event.listen(Engine, "commit", self._committed)

    def per_debit(self) -> dict[str, Any]:
        """By kind and table, the most frequent first; empty where nothing was debited."""
        debits = self._counted[_DEBIT]
        if not debits:
            return {}
        kinds = {kind: round(times / debits, 2) for kind, times in self._counted.most_common(16)}
        return {
            "statements": round(self._counted.total() / debits, 1),
            "commits": round(self._commits / debits, 1),
            "kinds": kinds,
        }

    def _sent(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        self._counted[kind(statement)] += 1

    def _committed(self, connection: Any) -> None:
        self._commits += 1


@lru_cache(maxsize=1_000)
def kind(statement: str) -> str:
    """`select charges`, `update agreements` and the like, by the first table outside brackets; `other` without one."""
    inner = 1
    while inner:
        statement, inner = _BRACKETS.subn(" ", statement)
    if updated := _UPDATE.match(statement):
        return f"update {updated[1]}"
    found = _TABLE.match(statement)
    return f"{found[1].lower()} {found[2]}" if found else "other"
