"""What follows when a provider no longer has a credential: the payer took it away there, unless something else did."""

from __future__ import annotations

from datetime import datetime, timedelta

_FEW = 5


def taken_away(missing_since: datetime, now: datetime, interval: timedelta) -> bool:
    """Whether two checks in a row have missed a credential. A check that is repeated after a crash counts once, so the
    second comes at least half an interval after the first.
    """
    return now - missing_since >= interval / 2


def plausible(missing: int, asked: int) -> bool:
    """Whether an account's customers may have done this. More than a few credentials gone, and most of those asked for,
    looks like an account that was moved or set up anew: revoking is for ever, so a person has to look first.
    """
    return missing <= _FEW or missing * 2 <= asked
