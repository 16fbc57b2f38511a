"""What a merchant's agreements have learned about each card: store/budgets.py on plain rows.

One household has one merchant and few cards; what is here was committed, as what the rows hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime

from agreements import budgets
from agreements.budgets import Declined, Spent
from agreements.rulebook import Budget, Rulebook
from bench.lifecycle import Change
from bench.records import Attempt, Credential


class Cards:
    """Declines and unfinished attempts by card, and which cards are dead."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._declines: dict[str, list[Declined]] = defaultdict(list)
        self._in_flight: dict[str, dict[str, Attempt]] = defaultdict(dict)
        self._dead: dict[str, str] = {}
        self._budgets: dict[tuple[str, date], tuple[Budget, ...]] = {}

    def dead(self, credential: Credential) -> str | None:
        """The code of the decline after which this card is not to be tried any more."""
        return self._dead.get(credential.account)

    def spent(self, attempt: Attempt, now: datetime, uncommitted: Iterable[Attempt] = ()) -> tuple[Spent, ...]:
        """The state of each budget of the attempt's card; none for a wallet. What is in flight may yet be declined."""
        network, card = attempt.credential.network, attempt.credential.account
        if network is None:
            return ()
        new = {each.request_id: each for each in uncommitted}
        declines = [*self._declines[card]]
        declines += [Declined(each.finished_at or now, each.money) for each in new.values()]
        declines += [
            Declined(each.sent_at or now, each.money) for name, each in self._in_flight[card].items() if name not in new
        ]
        return budgets.spent(self._budgets_of(network, now.date()), declines, attempt.money, now)

    def commit(self, change: Change) -> None:
        """Takes in what a transaction has written."""
        for attempt in change.sent:
            self._in_flight[attempt.credential.account][attempt.request_id] = attempt
        for attempt in change.settled:
            self._in_flight[attempt.credential.account].pop(attempt.request_id, None)
        for attempt, code in change.dead:
            self._dead[attempt.credential.account] = code
        for attempt in change.declined:
            declined = Declined(attempt.finished_at or change.now, attempt.money)
            self._declines[attempt.credential.account].append(declined)

    def _budgets_of(self, network: str, on: date) -> tuple[Budget, ...]:
        if (network, on) not in self._budgets:
            self._budgets[network, on] = self._rulebook.budgets(network, on)
        return self._budgets[network, on]
