"""What operations are called, and under which headings they stand.

An operation's id follows from its method and path alone, so that generated clients keep their names however the code
behind a route is moved about.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIX = "/v1"
_READS = {"healthz": "check_health", "readyz": "check_readiness", "metrics": "read_metrics"}
_VERBS = {"post": "create", "patch": "update", "put": "set", "delete": "delete"}

TAGS: Mapping[str, str] = {
    "agreements": "Who pays, how much, how often, through which provider: made, read, changed, paused and ended. "
    "`schedule` tells the coming dates, `timeline` what happened and why.",
    "charges": "What is owed cycle by cycle or on demand, with every attempt at it and every decision about it.",
    "refunds": "Money on its way back.",
    "card changes": "Links by which a customer gives another card or wallet.",
    "customers": "What is kept about a merchant's customers, and the pages made for them.",
    "credentials": "Cards, wallets and accounts that are charged, masked.",
    "consents": "What customers agreed to, with the proof of it.",
    "payment methods": "What a buyer can be offered through which provider.",
    "events": "Everything that happened, in an order that cannot skip: the feed to follow or to catch up from.",
    "webhook endpoints": "Where events are sent, signed by the Standard Webhooks specification.",
    "webhooks": "What your endpoint receives.",
    "test clocks": "Time for agreements of test mode, which passes when it is told to.",
    "operations": "For whoever runs the engine.",
}


def operation_id(method: str, path: str) -> str:
    """A verb and what it acts on, in snake case.

    Of a path below an object's id, a plural is a list of its own (`create_agreement_charge`) and anything else a
    command (`pause_agreement`, `rotate_webhook_endpoint_secret`).
    """
    parts = path.removeprefix(_PREFIX).strip("/").split("/")
    names = [part.replace("-", "_") for part in parts if not part.startswith("{")]
    if len(parts) == 1 and names[0] in _READS:
        return _READS[names[0]]
    *parents, last = names
    owner = "_".join(_singular(name) for name in parents)
    on_one = parts[-1].startswith("{")
    plural = last.endswith("s")
    if method == "get":
        verb = "get" if on_one or not plural else "list"
        return "_".join(filter(None, (verb, owner, _singular(last) if on_one else last)))
    if on_one or plural:
        return "_".join(filter(None, (_VERBS[method], owner, _singular(last))))
    verb, _, rest = last.partition("_")
    return "_".join(filter(None, (verb, owner, rest)))


def summary(operation_id: str) -> str:
    """The id as a heading."""
    return operation_id.replace("_", " ").capitalize()


def _singular(name: str) -> str:
    return name.removesuffix("s")
