"""Query parameters several lists share."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator

_DIGITS = re.compile(r"-?[0-9]+")


def _in_digits(value: object) -> object:
    # pydantic alone would also take `1_0`, `+1`, ` 1` and `1.0`.
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("a whole number is written in digits")
    return value


Whole = Annotated[int, BeforeValidator(_in_digits)]
"""Of an address's path or query."""

Limit = Annotated[Whole, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]
Text = Annotated[str | None, Query(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]

PAGE = 50
