"""An event as a line of the demo's timeline."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from agreements.money import Money
from cli.demo.backend import Json
from cli.demo.stories import Story

_PLAIN = {
    "agreement.authorization_requested": ("white", "the provider's page is ready"),
    "agreement.authorized": ("green", "agreed on the provider's page"),
    "agreement.activated": ("green", "the agreement is active"),
    "agreement.past_due": ("yellow", "the agreement is past due"),
    "agreement.action_required": ("yellow", "the agreement waits for the customer"),
    "agreement.revoked": ("magenta", "revoked by the customer: no debit can start any more"),
    "agreement.completed": ("green", "every cycle is paid, the agreement is complete"),
    "credential.refreshed": ("cyan", "payment token refreshed ahead of its expiry"),
    "credential.expiring": ("yellow", "what is charged runs out soon: only the customer can renew it"),
}


def line(event: Json, story: Story) -> str | None:
    """Local time, whose agreement, what happened, and the rule behind it where one was applied. With rich's markup.

    None for what only repeats another event.
    """
    found = _PLAIN.get(event["type"]) or _about_card(event) or _about_charge(event, story.zone)
    if found is None:
        return None
    color, text = found
    return f"[dim]{_local(event['created_at'], story.zone)}[/dim]  {story.customer:<5} [{color}]{text}[/{color}]"


def _about_card(event: Json) -> tuple[str, str] | None:
    change = event["data"].get("card_change")
    if change is None or event["type"] == "card_change.completed":
        new = event["data"].get("credential")
        return ("green", f"another card is in use, ending in {new['last4']}") if new else None
    if event["type"] == "card_change.requested" and change["initiator"] == "merchant":
        return "magenta", "the merchant asks for another card, by a link"
    return None


def _about_charge(event: Json, zone: ZoneInfo) -> tuple[str, str] | None:
    charge = event["data"].get("charge")
    if charge is None:
        return None
    what = f"cycle {charge['cycle']:>2}  {Money(**charge['amount'])}"
    if event["type"] == "charge.succeeded":
        again = f" [dim](attempt {len(charge['attempts'])})[/dim]" if len(charge["attempts"]) > 1 else ""
        return "green", f"{what} collected{again}"
    if event["type"] == "charge.unknown":
        return "yellow", f"{what} the answer got lost: asking the provider before anything else"
    if "decline" not in event["data"]:
        return "white", f"{what} {event['type'].removeprefix('charge.')}"
    decision, code = event["data"]["decision"], event["data"]["decline"]["code"]
    rule = f"[dim]rule {decision['rule']}, budget left {decision['budget_left']}[/dim]"
    then = f"again {_local(decision['at'], zone)}" if decision["at"] else "only the customer can help"
    return "yellow", f"{what} declined: {code}; {then} {rule}"


def _local(instant: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(zone):%Y-%m-%d %H:%M}"
