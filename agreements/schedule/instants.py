"""Instants out of local dates: the debit time, jitter, changes of clocks, and hours in which a rail takes no debits.

Sources: payment-rules §3.2 rules 3, 6 and 7, §2.4 (windows).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from agreements.schedule.plan import DateRule, ForbiddenWindow, Plan
from agreements.terms import Terms

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_LONGEST_WAIT = timedelta(days=3)
"""Windows of one rail come every day; who waits longer than this waits for ever."""


def today(timezone: str, now: datetime) -> date:
    """The calendar day at `now` in an IANA zone."""
    return now.astimezone(ZoneInfo(timezone)).date()


def local_instant(day: date, clock_time: str, timezone: str) -> datetime:
    """The instant (UTC) of a local "HH:MM": the first valid one after a DST gap, the first of two in an overlap."""
    return _instant(datetime.combine(day, time.fromisoformat(clock_time)), timezone)[0]


def ends_at(terms: Terms) -> datetime | None:
    """The end of the expiry date (UTC): the first instant of the next local day. None without an expiry date."""
    if terms.expiry_date is None:
        return None
    return local_instant(terms.expiry_date + _DAY, "00:00", terms.timezone)


def jitter(plan: Plan) -> timedelta:
    """The agreement's own place in its debit window, always the same: whole seconds from 0 to below its length."""
    minutes = plan.terms.debit_window_minutes
    if minutes is None:
        return timedelta(0)
    return timedelta(seconds=int.from_bytes(sha256(plan.key.encode()).digest()) % (minutes * 60))


def debit_instant(plan: Plan, day: date) -> tuple[datetime, tuple[str, ...]]:
    """When a cycle of that local date is due (UTC), and the rules that acted: jitter, change of clocks, windows."""
    spread = jitter(plan)
    wanted = datetime.combine(day, time.fromisoformat(plan.terms.debit_time)) + spread
    instant, dst = _instant(wanted, plan.terms.timezone)
    instant, windows = allowed(plan, instant)
    return instant, (*([DateRule.JITTER] if spread else []), *([dst] if dst else []), *windows)


def allowed(plan: Plan, instant: datetime) -> tuple[datetime, tuple[str, ...]]:
    """The first instant (UTC) from `instant` on outside the rail's forbidden windows, and the ids of those that
    moved it. Raises ValueError when the windows together leave no time at all.
    """
    moved, rules = instant.astimezone(UTC), list[str]()
    while window := next((window for window in plan.windows if _forbids(window, moved)), None):
        moved = _end_of(window, moved)
        rules.append(window.id)
        if moved - instant > _LONGEST_WAIT:
            raise ValueError(f"the forbidden windows leave no time: {', '.join(sorted(set(rules)))}")
    return moved, tuple(dict.fromkeys(rules))


def in_debit_window(plan: Plan, instant: datetime) -> datetime:
    """The first allowed instant (UTC) from `instant` on in the agreement's local debit window.

    Without a debit window that is the first allowed one. Where forbidden windows cover the whole debit window, it is
    the first allowed one after that window has opened, as for due instants.
    """
    minutes = plan.terms.debit_window_minutes
    if minutes is None:
        return allowed(plan, instant)[0]
    day, late = today(plan.terms.timezone, instant), list[datetime]()
    for days in range(-1, _LONGEST_WAIT.days + 1):
        opens, closes = _debit_window(plan.terms, day + days * _DAY, minutes)
        if closes > instant:
            found = allowed(plan, max(instant, opens))[0]
            if found < closes:
                return found
            late.append(found)
    return late[0]


def _debit_window(terms: Terms, day: date, minutes: int) -> tuple[datetime, datetime]:
    """From when until when (exclusive, UTC) debits are wanted on a local day.

    Where its last second lies in a DST gap, the first instant after the gap belongs to it: that second's debit is due
    there.
    """
    opens = datetime.combine(day, time.fromisoformat(terms.debit_time))
    first, _ = _instant(opens, terms.timezone)
    last, _ = _instant(opens + timedelta(minutes=minutes) - _SECOND, terms.timezone)
    return first, last + _SECOND


def _forbids(window: ForbiddenWindow, instant: datetime) -> bool:
    reading = instant.astimezone(ZoneInfo(window.timezone)).time()
    if window.start < window.end:
        return window.start <= reading < window.end
    return reading >= window.start or reading < window.end


def _end_of(window: ForbiddenWindow, instant: datetime) -> datetime:
    """The end of the window the instant lies in: its last hour, or a change of clocks that leads out of it."""
    zone = ZoneInfo(window.timezone)
    reading = instant.astimezone(zone)
    tomorrow = window.start > window.end and reading.time() >= window.start
    end = datetime.combine(reading.date() + _DAY * tomorrow, window.end)
    first, _ = _instant(end, window.timezone)
    # In a repeated hour the first end may be over: then it is the second.
    last = first if first > instant else end.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if last.astimezone(zone).utcoffset() != reading.utcoffset():
        change = _clock_change(instant.replace(microsecond=0), last, zone)
        if not _forbids(window, change):
            return change
    return last


def _instant(wanted: datetime, timezone: str) -> tuple[datetime, DateRule | None]:
    """The instant (UTC) of a local date and time."""
    zone = ZoneInfo(timezone)
    local = wanted.replace(tzinfo=zone)
    utc, late = local.astimezone(UTC), local.replace(fold=1)
    if local.utcoffset() == late.utcoffset():
        return utc, None
    if utc.astimezone(zone).replace(tzinfo=None) == wanted:
        return utc, DateRule.DST_OVERLAP
    # In a gap the two readings lie on either side of the change of clocks.
    return _clock_change(late.astimezone(UTC), utc, zone), DateRule.DST_GAP


def _clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC, whole seconds) between the two at which the zone's offset changes."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
