"""Whether a customer's card is still on file at Ottu. Source: gateways/ottu.md §6.1."""

from __future__ import annotations

import httpx

from gateways.ottu import keys, sessions
from gateways.ottu.messages import NoAnswer
from gateways.ottu.transport import Line
from gateways.port import Account, Call, Lists, OnFile, SavedCredential


class OttuCards:
    """Asks for the list of a customer's cards. The API is not there in KSA, and needs the key's permission."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def holds(self, account: Account, credential: SavedCredential, call: Call) -> OnFile:
        """An unknown customer has an empty list; a 404 may as well be another address, so it says nothing."""
        wanted = {"customer_id": sessions.customer(credential.customer_id), "type": keys.card_type(account)}
        answer = await Line(self._client, account, call).post(sessions.CARDS, wanted)
        if isinstance(answer, NoAnswer) or not answer.accepted:
            return OnFile.UNKNOWN
        return _among(answer.body, credential.token)


def _among(cards: object, token: str) -> OnFile:
    if not isinstance(cards, list):
        return OnFile.UNKNOWN
    listed = [card.get("token") if isinstance(card, dict) else None for card in cards]
    if token in listed:
        return OnFile.HELD
    return OnFile.GONE if all(isinstance(each, str) and each for each in listed) else OnFile.UNKNOWN


def cards(client: httpx.AsyncClient) -> Lists:
    """Ottu's list as the port knows it."""
    return OttuCards(client)
