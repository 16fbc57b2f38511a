"""Who changes something, as the trail keeps it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

_SECRET = re.compile(r"(?<![A-Za-z0-9])(?:sk_(?:test|live)_|whsec_)[\w+/=-]{16}", re.I)


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


def without_secret(reason: str) -> str:
    """The reason, which is kept in clear. Raises ValueError where a merchant's key or a webhook's secret stands in it:
    more of one than tells people which is meant.
    """
    if _SECRET.search(reason):
        raise ValueError("holds what looks like a secret of ours (sk_… or whsec_…), and is kept in clear: leave it out")
    return reason
