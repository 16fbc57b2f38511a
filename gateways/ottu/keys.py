"""What an Ottu account's keys mean.

`Account.base_url` is the merchant's own host (`https://<merchant>.ottu.net`). `Account.keys` holds

* `api_key`: the private API key (`XXXXXXXX.YYYY…`); Basic auth cannot list cards and is not supported;
* `hmac_key`: the key of the dashboard's Webhook Config, which signs answers and webhooks;
* `pg_code.<payment method>`, else `pg_code`: the merchant's own name of the gateway, if it is not our catalog's;
* `plugin`: `e_commerce` (if missing) or `payment_request`, whichever is enabled on the instance.
"""

from __future__ import annotations

import re

from gateways.port import Account

REQUIRED = ("api_key", "hmac_key")
OPTIONAL = ("pg_code", "pg_code.<payment method>", "plugin")

_PLUGINS = ("e_commerce", "payment_request")
_VISIBLE = re.compile(r"[!-~]{1,512}", re.ASCII)


class BadKeys(Exception):
    """The account's keys are missing or unreadable: nothing can be asked or verified until an operator repairs it."""


def api_key(account: Account) -> str:
    """The key that identifies us to Ottu. Raises BadKeys."""
    value = account.keys.get("api_key", "")
    if not _VISIBLE.fullmatch(value):
        raise BadKeys("api_key is missing or cannot be sent in a header")
    return value


def hmac_key(account: Account) -> str:
    """The key that identifies Ottu to us. Raises BadKeys."""
    value = account.keys.get("hmac_key", "")
    if not value:
        raise BadKeys("hmac_key is missing")
    return value


def pg_code(account: Account, payment_method: str) -> str:
    """The merchant's gateway for a payment method of the catalog."""
    keys = account.keys
    return keys.get(f"pg_code.{payment_method}") or keys.get("pg_code") or payment_method


def plugin(account: Account) -> str:
    """Through which of Ottu's plugins sessions are made."""
    return account.keys.get("plugin") or "e_commerce"


def check(account: Account) -> None:
    """Raises BadKeys unless every key can be used."""
    api_key(account)
    hmac_key(account)
    if plugin(account) not in _PLUGINS:
        raise BadKeys(f"plugin must be one of: {', '.join(_PLUGINS)}")


def card_type(account: Account) -> str:
    """Cards of live and of test gateways are listed apart."""
    return "production" if account.livemode else "sandbox"
