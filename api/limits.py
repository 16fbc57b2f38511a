"""How often a key may call, how often an address may fail to show one (docs/api-conventions.md), how much of what
comes without a key may turn out to be nobody's, and how many cards may be tried on a page (docs/security.md).

Counted in this process's memory: no call waits for a count, and nothing is shared between API processes, so each of
several grants the whole limit. The algorithm is GCRA, a token bucket whose whole state is one instant per caller: when
its quota would be whole again. A handful of lines and no threads, which no library offers for asyncio.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from api.problems import Problem
from settings import Settings

_WINDOW = 10
"""Seconds over which a key's calls are levelled: ten seconds' worth may come at once."""
_MINUTE = 60
_HOUR = 3600
_CARDS = 5
"""In an hour, on one page: enough for somebody who mistypes, useless for who tries out stolen numbers."""
_SECOND = 10**9
_REMEMBERED = 20_000
"""Callers per limit, the most recent ones. Whoever is forgotten starts afresh."""
_IN_VAIN = "in-vain"


@dataclass(frozen=True)
class Left:
    """What is left of a quota, by the fields of the IETF's RateLimit headers (draft-ietf-httpapi-ratelimit-headers)."""

    policy: str
    quota: int
    window: int
    requests: int
    seconds: int
    """Until there is one more."""

    @property
    def headers(self) -> dict[str, str]:
        """Structured fields (RFC 9651)."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={self.window}',
            "RateLimit": f'"{self.policy}";r={self.requests};t={self.seconds}',
        }


class Quota:
    """So many requests in so many seconds for each caller; 0 is no limit. `clock` counts nanoseconds."""

    def __init__(self, policy: str, requests: int, window: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._policy = policy
        self._requests = requests
        self._window = window
        self._each = window * _SECOND // requests if requests else 0
        self._clock = clock
        self._whole_at: OrderedDict[str, int] = OrderedDict()

    def take(self, caller: str) -> tuple[bool, Left | None]:
        """Whether there was a request left for the caller, and what is left now; None without a limit."""
        if not self._requests:
            return True, None
        now = self._clock()
        owed = max(self._whole_at.get(caller, now) - now, 0) + self._each
        granted = owed <= self._requests * self._each
        if granted:
            self._whole_at[caller] = now + owed
            self._whole_at.move_to_end(caller)
            if len(self._whole_at) > _REMEMBERED:
                self._whole_at.popitem(last=False)
        return granted, self.left(caller)

    def give_back(self, caller: str) -> None:
        """As if one that was granted had not been asked for. What has grown back meanwhile is not given twice: a quota
        is never more than whole.
        """
        if caller in self._whole_at:
            self._whole_at[caller] -= self._each

    def left(self, caller: str) -> Left | None:
        """What is left for the caller, without taking any of it."""
        if not self._requests:
            return None
        now = self._clock()
        owed = max(self._whole_at.get(caller, now) - now, 0)
        used = -(-owed // self._each)
        wait = owed - (used - 1) * self._each if used else 0
        return Left(self._policy, self._requests, self._window, self._requests - used, -(-wait // _SECOND))


class Arrival:
    """A message that came without a key, before anybody knows whether it is genuine.

    Its address and its account may each send so many in vain. A place among these is taken when it arrives, not when
    it is found forged, so that a thousand at one instant find no more of them than a thousand in a row.
    """

    def __init__(self, request: Request, *quotas: tuple[Quota, str]) -> None:
        self._request = request
        self._quotas = quotas
        self._taken = [(quota, caller) for quota, caller in quotas if quota.take(caller)[0]]
        self.may_be_kept = len(self._taken) == len(quotas)
        """Whether there is room for it even if it is forged; else it has to be genuine to be kept."""
        if not self.may_be_kept:
            self._leave()

    def genuine(self) -> None:
        """It is its sender's: such take nobody's place, however many there are."""
        self._leave()

    def too_many(self) -> Problem:
        """The answer where it had to be genuine and is not."""
        lefts = [left for quota, caller in self._quotas if (left := quota.left(caller)) and not left.requests]
        longest = max(lefts, key=lambda left: left.seconds)
        _show(self._request, longest)
        return _too_many(longest, "too much that was not genuine came from this address, or for this account")

    def _leave(self) -> None:
        while self._taken:
            quota, caller = self._taken.pop()
            quota.give_back(caller)


class Limits:
    """The limits of one API process."""

    def __init__(self, settings: Settings, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._keys = {
            True: Quota("live", settings.rate_limit_live * _WINDOW, _WINDOW, clock),
            False: Quota("test", settings.rate_limit_test * _WINDOW, _WINDOW, clock),
        }
        self._failures = Quota("failed-authentications", settings.failed_authentication_limit, _MINUTE, clock)
        in_vain = settings.failed_authentication_limit
        self._of_addresses = Quota(_IN_VAIN, in_vain, _MINUTE, clock)
        self._of_accounts = Quota(_IN_VAIN, in_vain, _MINUTE, clock)
        self._of_links = Quota("returns", in_vain, _MINUTE, clock)
        self._of_cards = Quota("cards", _CARDS, _HOUR, clock)
        self._known: OrderedDict[str, bool] = OrderedDict()

    def before(self, request: Request, ip: str | None, key_hash: str) -> None:
        """Refuses what needs no look at the database: keys over their limit, and strangers who failed too often.

        A key that worked a moment ago is not held up by strangers behind its address. Raises Problem.
        """
        livemode = self._known.get(key_hash)
        if livemode is not None:
            self._take(request, self._keys[livemode], key_hash)
        elif (left := self._failures.left(_network(ip))) and not left.requests:
            _show(request, left)
            raise _too_many(left, "this address has shown keys that do not work too often")

    def worked(self, request: Request, key_hash: str, livemode: bool) -> None:
        """The key was recognised. Counts its first call, which `before` did not know whom to count for."""
        if key_hash not in self._known:
            self._take(request, self._keys[livemode], key_hash)
        self._known[key_hash] = livemode
        self._known.move_to_end(key_hash)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def failed(self, request: Request, ip: str | None, key_hash: str | None) -> None:
        """No key, or one that opens nothing. Raises Problem where that was once too often."""
        if key_hash is not None:
            self._known.pop(key_hash, None)
        self._take(request, self._failures, _network(ip))

    def missed(self, request: Request, ip: str | None) -> None:
        """What is not there was asked for. Raises Problem where that was once too often."""
        self._take(request, self._of_addresses, _network(ip))

    def arrived(self, request: Request, ip: str | None, account_id: str) -> Arrival:
        """A message for an account that there is."""
        return Arrival(request, (self._of_addresses, _network(ip)), (self._of_accounts, account_id))

    def may_return(self, link: str) -> bool:
        """Whether what a customer brings back is taken in. Nothing about it is signed, so each time counts."""
        return self._of_links.take(link)[0]

    def may_try_card(self, link: str) -> bool:
        """Whether a card typed on one of our pages is handed to the provider: what is found out so about cards of
        others is worth money to who stole them.
        """
        return self._of_cards.take(link)[0]

    def _take(self, request: Request, quota: Quota, caller: str) -> None:
        granted, left = quota.take(caller)
        if left is not None:
            _show(request, left)
            if not granted:
                raise _too_many(left, f"more than {left.quota} requests in {left.window} seconds")


def of_request(state: Mapping[str, object]) -> Mapping[str, str]:
    """The headers that tell the caller what is left, by the state of the request they were counted for."""
    left = state.get("rate_limit")
    return left.headers if isinstance(left, Left) else {}


def _show(request: Request, left: Left) -> None:
    request.state.rate_limit = left


def _too_many(left: Left, detail: str) -> Problem:
    return Problem("rate_limited", detail, headers={"Retry-After": str(max(left.seconds, 1))})


def _network(ip: str | None) -> str:
    """Whom failures count for: an IPv4 address, or the /64 of which one caller usually has all of IPv6."""
    if ip is None:
        return "unknown"
    address = ipaddress.ip_address(ip)
    return str(ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address)
