"""What the keys of an account may be called at each gateway, and whether they can be used."""

from __future__ import annotations

from gateways.antom import keys as antom
from gateways.ottu import keys as ottu
from gateways.pivot import keys as pivot
from gateways.port import Account

_KEYS = {"antom": antom, "ottu": ottu, "pivot": pivot}


class Unusable(Exception):
    """With these keys no call could be made, or none of the provider's messages believed; the text says why."""


def check(gateway: str, account: Account) -> None:
    """Tells now what would otherwise fail with the first call. Raises Unusable."""
    required, optional = _KEYS[gateway].REQUIRED, _KEYS[gateway].OPTIONAL
    missing = [name for name in required if not account.keys.get(name)]
    unknown = [name for name in account.keys if not _named(name, (*required, *optional))]
    said = [f"missing: {', '.join(missing)}"] if missing else []
    if unknown:
        said.append(f"unknown: {', '.join(unknown)} (known: {', '.join((*required, *optional))})")
    if said:
        raise Unusable("; ".join(said))
    try:
        _KEYS[gateway].check(account)
    except (antom.BadKeys, ottu.BadKeys, pivot.BadKeys) as error:
        raise Unusable(str(error)) from error


def _named(name: str, known: tuple[str, ...]) -> bool:
    """Names like `pg_code.<payment method>` stand for every name that begins so."""
    return any(name == each or ("<" in each and name.startswith(each.partition("<")[0])) for each in known)
