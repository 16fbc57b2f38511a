"""An event as a line of the demo's timeline."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from agreements.money import Money
from cli.demo.backend import Json

_MANILA = ZoneInfo("Asia/Manila")

_PLAIN = {
    "agreement.authorization_requested": ("white", "the wallet's page is ready for the customer"),
    "agreement.authorized": ("green", "the customer agreed in the wallet"),
    "agreement.activated": ("green", "the agreement is active"),
    "agreement.past_due": ("yellow", "the agreement is past due"),
    "agreement.revoked": ("magenta", "revoked by the customer: no debit can start any more"),
    "credential.refreshed": ("cyan", "payment token refreshed ahead of its expiry"),
}


def line(event: Json) -> str:
    """Local time, what happened, and the rule behind it where one was applied. With rich's markup."""
    at = datetime.fromisoformat(event["created_at"]).astimezone(_MANILA)
    color, text = _PLAIN.get(event["type"]) or _about_charge(event)
    return f"[dim]{at:%Y-%m-%d %H:%M}[/dim]  [{color}]{text}[/{color}]"


def _about_charge(event: Json) -> tuple[str, str]:
    charge = event["data"].get("charge")
    if charge is None:
        return "white", str(event["type"])
    what = f"cycle {charge['cycle']:>2}  {Money(**charge['amount'])}"
    if event["type"] == "charge.succeeded":
        again = f" [dim](attempt {len(charge['attempts'])})[/dim]" if len(charge["attempts"]) > 1 else ""
        return "green", f"{what} collected{again}"
    if event["type"] == "charge.unknown":
        return "yellow", f"{what} the answer got lost: asking the provider before anything else"
    if event["type"] == "charge.retry_scheduled":
        decision = event["data"]["decision"]
        at = datetime.fromisoformat(decision["at"]).astimezone(_MANILA)
        rule = f"[dim]rule {decision['rule']}, budget left {decision['budget_left']}[/dim]"
        return "yellow", f"{what} declined: {event['data']['decline']['code']}; again {at:%Y-%m-%d %H:%M} {rule}"
    return "white", f"{what} {event['type'].removeprefix('charge.')}"
