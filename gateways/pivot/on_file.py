"""Whether a customer's card or wallet is still on file at Pivot. Source: gateways/pay-and-save.md §3.7."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import httpx

from gateways.pivot.messages import mapping, text
from gateways.pivot.transport import AccessTokens, Line, NoAnswer
from gateways.port import Account, Call, Lists, OnFile, SavedCredential

_LISTS = ("storedPaymentMethods", "storePaymentMethods")
"""The second is how sessions and callbacks spell it; both are read everywhere."""
_STATUS = {"active": OnFile.HELD, "inactive": OnFile.GONE}


class PivotMethods:
    """Reads the customer. Holds access tokens of its own, apart from the connector's."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._tokens = AccessTokens(client)

    async def holds(self, account: Account, credential: SavedCredential, call: Call) -> OnFile:
        """A customer Pivot does not know, or says nothing of, is no customer who took a card away."""
        if not credential.reference:
            return OnFile.UNKNOWN
        line = Line(self._tokens, account, call)
        reply = await line.get(f"v1/customers/{quote(credential.reference, safe='')}")
        if isinstance(reply, NoAnswer) or not reply.ok:
            return OnFile.UNKNOWN
        return _among(mapping(reply.data), credential.token)


def _among(customer: Mapping[str, object], token: str) -> OnFile:
    stored = next((found for name in _LISTS if isinstance(found := customer.get(name), list)), None)
    if stored is None:
        return OnFile.UNKNOWN
    named = {text(mapping(entry).get("token"), 512): mapping(entry).get("status") for entry in stored}
    if token in named:
        return _STATUS.get((text(named[token]) or "").lower(), OnFile.UNKNOWN)
    return OnFile.UNKNOWN if None in named else OnFile.GONE


def methods(client: httpx.AsyncClient) -> Lists:
    """Pivot's list as the port knows it."""
    return PivotMethods(client)
