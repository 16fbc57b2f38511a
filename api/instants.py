"""Instants as bodies name them: text by RFC 3339, in a range every calculation and the database can hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""Without leap seconds: no clock here has them."""
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
"""A zone's own date is then still one terms can name."""


def _written(value: Any) -> Any:
    # pydantic alone would also take a Unix time.
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("an instant is written by RFC 3339, for example 2027-01-31T01:00:00Z")
    return value


def _in_range(value: datetime) -> datetime:
    if not _FIRST <= value <= _LAST:
        raise ValueError("an instant lies between 2000-01-01T00:00:00Z and 2999-12-31T00:00:00Z")
    return value.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_range)]
"""Aware, in UTC."""
