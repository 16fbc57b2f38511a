"""Agreements, charges and what happened to them, in plain words.

Written from the API's answers, and tolerant of what a newer API may say: an event nobody here knows is shown by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from agreements.money import Money, MoneyTotal

Json = dict[str, Any]

EVERY: Mapping[str, str] = {
    "daily": "every day",
    "weekly": "every week",
    "semi_monthly": "twice a month",
    "monthly": "every month",
    "quarterly": "every quarter",
    "semi_annually": "twice a year",
    "yearly": "every year",
    "irregular": "when asked",
}

_AGREEMENT: Mapping[str, str] = {
    "agreement.authorization_requested": "the provider's page is ready for the customer",
    "agreement.authorized": "the customer agreed",
    "agreement.activated": "the agreement is active",
    "agreement.past_due": "the agreement is past due",
    "agreement.action_required": "the customer must act",
    "agreement.completed": "the agreement is completed",
    "agreement.expired": "the agreement has expired",
    "agreement.revoked": "revoked: no debit can start any more",
    "credential.refreshed": "the payment token was replaced ahead of its expiry",
    "credential.expiring": "the card or token runs out soon",
    "card_change.requested": "a link for another card was made",
    "card_change.reminder": "the link for another card has not been used yet: remind the customer",
    "card_change.completed": "the customer gave another card, which is in use now",
    "card_change.failed": "the provider refused the customer's other card",
}


def amount(money: Json | None) -> str:
    """With its currency; where the merchant has not set it yet, so it says."""
    if money is None:
        return "an amount still to be set"
    return str(Money(**money)) if money["value"] else f"{money['currency']} 0"


def owed(charge: Json) -> str:
    """How much a charge is over; of a verification also that it is one, as no cycle tells."""
    return amount(charge["amount"]) + (", a verification" if charge["purpose"] == "verification" else "")


def total(money: Json | None) -> str:
    """A sum, which may be nothing."""
    if money is None or not money["value"]:
        return "nothing"
    found = MoneyTotal(**money)
    return str(Money(currency=found.currency, value=found.value))


def instant(text: str | None, zone: tzinfo = UTC) -> str:
    """An instant on a clock of the zone, to the minute; nothing where there is none."""
    if text is None:
        return ""
    at = datetime.fromisoformat(text).astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M}" + ("Z" if zone is UTC else "")


def purged(timeline: list[Json]) -> str | None:
    """That events before those of the timeline are not kept any more; decisions are, with their charges."""
    first = next((entry["sequence"] for entry in timeline if entry["kind"] == "event"), 1)
    return None if first == 1 else f"events 1 to {first - 1} are no longer kept; decisions and charges are"


def zone_of(agreement: Json) -> ZoneInfo:
    """Where its dates are computed."""
    return ZoneInfo(agreement["terms"]["timezone"])


def rhythm(terms: Json) -> str:
    """How much and how often."""
    frequency = terms["frequency"]
    every = EVERY.get(frequency or "irregular", f"every {terms['cycle_interval_days']} days")
    if terms["amount_variability"] == "variable" and terms["max_amount_per_cycle"] and terms["amount"]:
        most = {"currency": terms["amount"]["currency"], "value": terms["max_amount_per_cycle"]}
        return f"up to {amount(most)} {every}"
    return f"{amount(terms['amount'])} {every}"


def summary(agreement: Json) -> list[str]:
    """The agreement as one would tell it."""
    terms, zone = agreement["terms"], zone_of(agreement)
    customer = agreement["customer"]
    who = f"{customer['name']} ({customer['id']})" if customer.get("name") else customer["id"]
    said = [
        f"{who} pays {rhythm(terms)} by {agreement['payment_method']['type']} through {agreement['gateway']}"
        f"{_bounds(terms)}.",
        f"Paid so far: {total(agreement['totals']['amount_paid'])} in {agreement['totals']['cycles_paid']} cycles; "
        f"{agreement['totals']['cycles_failed']} cycles failed.",
    ]
    if agreement["next_charge_at"]:
        said.append(f"Next debit: {instant(agreement['next_charge_at'], zone)} ({zone}).")
    said += _credential(agreement, zone) + _to_do(agreement, zone) + _ending(agreement, zone)
    return said


def _bounds(terms: Json) -> str:
    parts = [
        f"{terms['total_cycles']} times" if terms["total_cycles"] else "",
        f"from {terms['start_date']}" if terms["start_date"] else "",
        f"until {terms['expiry_date']}" if terms["expiry_date"] else "",
        f"at {terms['debit_time']} in {terms['timezone']}",
    ]
    return ", " + ", ".join(filter(None, parts))


def _credential(agreement: Json, zone: tzinfo) -> list[str]:
    found = agreement["credential"]
    if found is None:
        return []
    ending = f" ending in {found['last4']}" if found["last4"] else ""
    until = f", good until {instant(found['token_expires_at'], zone)}" if found["token_expires_at"] else ""
    if found["expiry_month"]:
        until = f", expires {found['expiry_month']:02d}/{found['expiry_year']}"
    return [f"Pays with: {found['brand']}{ending}{until}{', refreshed by itself' if found['refreshable'] else ''}."]


def _to_do(agreement: Json, zone: tzinfo) -> list[str]:
    authorization, action = agreement["authorization"], agreement["action"]
    said = []
    if authorization and authorization["url"]:
        said.append(
            f"The customer has to agree at {authorization['url']} until {instant(authorization['expires_at'], zone)}."
        )
    if action:
        link = f" at {action['url']}" if action["url"] else "; no link is open"
        until = f", until {instant(action['act_by'], zone)}" if action["act_by"] else ""
        said.append(f"The customer has to act ({action['reason']}){link}{until}.")
    return said


def _ending(agreement: Json, zone: tzinfo) -> list[str]:
    revocation = agreement["revocation"]
    if not revocation:
        error = (agreement["authorization"] or {}).get("error")
        because = f": {error['message'] or error['code']}" if error else "."
        return [f"Ended {instant(agreement['ended_at'], zone)}{because}"] if agreement["ended_at"] else []
    why = f" ({revocation['reason']})" if revocation["reason"] else ""
    return [
        f"Revoked by the {revocation['initiator']} {instant(revocation['requested_at'], zone)}{why}; "
        f"at the provider: {revocation['provider_status'].replace('_', ' ')}."
    ]


# What happened


def happened(entry: Json, amounts: Mapping[str, str], zone: tzinfo = UTC) -> str:
    """A timeline's entry. `amounts` are those of the charges, by id."""
    charge = _charge(entry, amounts)
    if entry["kind"] == "decision":
        return _decided(entry, charge, zone)
    type_, details = entry["type"], entry["details"] or {}
    if type_ in _AGREEMENT:
        return _AGREEMENT[type_]
    told = _TOLD.get(type_)
    if told is None:
        return f"{charge} {type_}".strip()
    return told(charge, details, zone).strip()


def _charge(entry: Json, amounts: Mapping[str, str]) -> str:
    if entry["charge"] is None:
        return ""
    what = f"cycle {entry['cycle']}" if entry["cycle"] is not None else f"charge {entry['charge']}"
    sum_ = amounts.get(entry["charge"])
    return f"{what} ({sum_})" if sum_ else what


def _decided(entry: Json, charge: str, zone: tzinfo) -> str:
    decision = entry["decision"]
    if decision["rule"] == "operator_stop":
        what = "stopped debits" if decision["action"] == "stop" else "let debits go on that were stopped"
        return f"the engine's operator {what}, of {decision['inputs']['name']}: {decision['inputs']['reason']}"
    until = f" at {instant(decision['chosen_at'], zone)}" if decision["chosen_at"] else ""
    inputs = ", ".join(f"{name} {value}" for name, value in decision["inputs"].items() if value is not None)
    left = "" if decision["budget_left"] is None else f", budget left {decision['budget_left']}"
    return (
        f"{charge}: decided to {decision['action'].replace('_', ' ')}{until}, by rule {decision['rule']} of rulebook "
        f"{decision['rulebook_version']}{left}" + (f"; from {inputs}" if inputs else "")
    )


def _because(details: Json) -> str:
    reason = (details.get("decline") or {}).get("code") or details.get("reason")
    return f": {reason}" if reason else ""


def _again(charge: str, details: Json, zone: tzinfo) -> str:
    again = instant((details.get("decision") or {}).get("at"), zone)
    declined = "declined" + _because(details) if details.get("decline") else "is to be collected"
    return f"{charge} {declined}; tried again {again}"


def _amended(charge: str, details: Json, zone: tzinfo) -> str:
    return "changed: " + ", ".join(f"{one['pointer'].strip('/')}" for one in details.get("changes", []))


def _refunded(charge: str, details: Json, zone: tzinfo) -> str:
    refund = details["refund"]
    went = "went back" if refund["status"] == "succeeded" else "did not go back" + _because(refund)
    return f"{charge}: {amount(refund['amount'])} {went}"


def _said(text: str) -> Callable[[str, Json, tzinfo], str]:
    return lambda charge, details, zone: f"{charge} {text}{_because(details)}"


_TOLD: Mapping[str, Callable[[str, Json, tzinfo], str]] = {
    "agreement.paused": _said("paused"),
    "agreement.resumed": lambda _, details, zone: f"resumed; missed cycles: {details.get('missed_cycles')}",
    "agreement.amended": _amended,
    "agreement.authorization_failed": _said("there is no consent and none will come"),
    "cycle.upcoming": lambda charge, details, zone: (
        f"{charge} is coming: tell the payer" + (", and prove it" if details.get("proof_needed") else "")
    ),
    "cycle.skipped": _said("is skipped"),
    "charge.succeeded": _said("collected"),
    "charge.failed": _said("given up"),
    "charge.retry_scheduled": _again,
    "charge.action_required": _said("waits for the customer"),
    "charge.unknown": _said("got no clear answer: the provider is asked before anything else"),
    "charge.canceled": _said("canceled"),
    "charge.reversed": _said("undone"),
    "refund.succeeded": _refunded,
    "refund.failed": _refunded,
    "declaration.succeeded": _said("declared at customs"),
    "declaration.failed": _said("not declared at customs"),
    "declaration.unresolved": _said("has a declaration without a final word: look at the provider's portal"),
    "credential.refresh_failed": _said("the payment token could not be replaced"),
    "card_change.expired": _said("a link for another card ran out"),
}

TOLD = frozenset({*_AGREEMENT, *_TOLD})
"""The types of events that have words here."""
