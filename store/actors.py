"""Who changes something, as the trail keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Actor:
    """Somebody who changes something, and by what: a call of the API, a command, a form."""

    kind: Literal["api", "operator", "customer"]
    call: str
    """Method and path as in the API's description, or the command; never a path with a token in it."""
    who: str | None = None
    """The key's id, an operator's name on their machine, or the id of the link a customer was sent."""
    ip: str | None = field(default=None, repr=False)
    user_agent: str | None = field(default=None, repr=False)
    reason: str | None = None
