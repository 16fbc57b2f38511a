"""Why something is done, in a caller's own words: kept in clear with what was done, in events and in the trail."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from store.actors import without_secret

Reason = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(without_secret)]
