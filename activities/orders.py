"""What operators ask for by signal, done to the agreement's rows as the API would do it."""

from __future__ import annotations

import structlog
from temporalio import activity

from activities.contract import OBEY, Obeyed, OrderInput, OrderKind
from activities.workbench import Workbench
from agreements.card_changes import Initiator
from store import card_requests, lifecycle, open_links
from store.changes import Change
from store.lifecycle import Conflict

log = structlog.get_logger(__name__)


class Orders:
    """Touches only our own database: no provider's outage delays a stop."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=OBEY)
    async def obey(self, order: OrderInput) -> Obeyed:
        """Carries out one order in one change. What the agreement's state does not allow is refused, not raised: nobody
        waits for a signal's answer, and a workflow must not try for ever.
        """
        refused = ""
        async with self._bench.change(order.agreement_id, order.at) as change:
            try:
                await self._carry_out(change, order)
            except Conflict as conflict:
                refused = str(conflict)
        if refused:
            log.warning("order_refused", agreement=order.agreement_id, order=order.kind, because=refused)
        return Obeyed(standing=change.standing, refused=refused)

    async def _carry_out(self, change: Change, order: OrderInput) -> None:
        if order.kind is OrderKind.REVOKE:
            await lifecycle.revoke(change, initiator=order.initiator, reason=order.reason)
        elif not await _asked_already(change, order):
            initiator = Initiator(order.initiator)
            await card_requests.request(change, self._bench.links, initiator, None, reason=order.reason)


async def _asked_already(change: Change, order: OrderInput) -> bool:
    """Whether this order was carried out by a worker that died before it could say so."""
    link = await open_links.of(change.session, change.agreement.id)
    return link is not None and link.created_at >= order.at and link.initiator == order.initiator
