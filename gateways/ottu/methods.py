"""Which gateways of an Ottu account can debit a saved card. Source: gateways/ottu.md §9."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from gateways.ottu import keys
from gateways.ottu.messages import Message, NoAnswer
from gateways.ottu.transport import Line
from gateways.port import Account, Call

_METHODS = "/b/pbl/v2/payment-methods/"


class Unanswered(Exception):
    """Ottu gave no list; the text says why."""


@dataclass(frozen=True)
class Method:
    """A gateway of the account. `code` is what payments name (`pg_code`)."""

    code: str
    name: str
    currencies: tuple[str, ...]


async def auto_debit(client: httpx.AsyncClient, account: Account, call: Call) -> list[Method]:
    """Those whose cards are saved and debited without the customer. Raises Unanswered."""
    wanted = {"plugin": keys.plugin(account), "auto_debit": True, "type": keys.card_type(account)}
    answer = await Line(client, account, call).post(_METHODS, wanted)
    if isinstance(answer, NoAnswer):
        raise Unanswered(answer.evidence)
    listed = Message(answer.body).value("payment_methods") if isinstance(answer.body, dict) else None
    if not answer.accepted or not isinstance(listed, list):
        raise Unanswered(f"http_{answer.status}")
    return [method for entry in listed if isinstance(entry, dict) and (method := _method(Message(entry)))]


def _method(entry: Message) -> Method | None:
    code, accepted = entry.text("code"), entry.value("accepted_currencies")
    usable = entry.value("is_tokenizable") is True and entry.value("auto_debit_enabled") is True
    if code is None or not usable or not isinstance(accepted, list):
        return None
    currencies = tuple(currency for currency in accepted if isinstance(currency, str))
    return Method(code, entry.text("name") or code, currencies)
