"""What a Pivot account's keys mean. Source: gateways/pay-and-save.md §1.3, §4, §5.

`Account.keys` holds `client_id` and `client_secret` (the API's credentials), `callback_api_key` (the static key on
callbacks), and where they differ from the defaults:

- `recurring_profile`: `customer_present` (default; the only path Pivot documents in full: every debit needs the
  customer) or `token_never` (debits without the customer, which Pivot must have enabled for the merchant);
- `wallet_tokens`: `on` where Pivot confirmed that a saved wallet may be debited through the API (default `off`);
- `references`: `alphanumeric` (default: Pivot documents nothing else) or `plain` (default with our own sandbox);
- `card_entry`: `pivot_page` (default), or `our_page`: customers type their card on our page, and their browser encrypts
  it for Pivot;
- `submerchant_id`: on whose behalf a platform acts.

`base_url` is the API's address: https://api.pivot-payment.com, or https://api-stg.pivot-payment.com for staging.
"""

from __future__ import annotations

import hashlib

from gateways.port import Account

REQUIRED = ("client_id", "client_secret", "callback_api_key")
OPTIONAL = ("recurring_profile", "wallet_tokens", "references", "submerchant_id", "card_entry")

_VALUES = {
    "recurring_profile": ("customer_present", "token_never"),
    "wallet_tokens": ("off", "on"),
    "references": ("alphanumeric", "plain"),
    "card_entry": ("pivot_page", "our_page"),
}


class BadKeys(Exception):
    """The account's keys are missing: nothing can be asked or believed until an operator repairs it."""


def client_id(account: Account) -> str:
    """The id Pivot knows the merchant by. Raises BadKeys."""
    return _needed(account, "client_id")


def client_secret(account: Account) -> str:
    """The secret that buys access tokens. Raises BadKeys."""
    return _needed(account, "client_secret")


def callback_api_key(account: Account) -> str:
    """The static key Pivot puts on every callback. Raises BadKeys."""
    return _needed(account, "callback_api_key")


def identity(account: Account) -> str:
    """What an access token belongs to, free of secrets: another secret is another identity. Raises BadKeys."""
    parts = (account.base_url, client_id(account), client_secret(account))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def debits_unattended(account: Account) -> bool:
    """Whether a saved card may be debited without the customer."""
    return account.keys.get("recurring_profile") == "token_never"


def debits_wallets(account: Account) -> bool:
    """Whether a saved wallet may be debited through the API."""
    return account.keys.get("wallet_tokens") == "on"


def takes_cards(account: Account) -> bool:
    """Whether customers type their card on our page instead of Pivot's."""
    return account.keys.get("card_entry") == "our_page"


def plain_references(account: Account) -> bool:
    """Whether our ids may go out as they are, dashes and underscores included."""
    return account.keys.get("references", "plain" if account.sandbox else "alphanumeric") == "plain"


def check(account: Account) -> None:
    """Raises BadKeys unless every key can be used."""
    for name in REQUIRED:
        _needed(account, name)
    for name, allowed in _VALUES.items():
        if account.keys.get(name, allowed[0]) not in allowed:
            raise BadKeys(f"{name} must be one of: {', '.join(allowed)}")


def _needed(account: Account, name: str) -> str:
    value = account.keys.get(name, "")
    if not (value and value.isascii() and value.isprintable()):
        raise BadKeys(f"{name} is missing or unreadable")
    return value
