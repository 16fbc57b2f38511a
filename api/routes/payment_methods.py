"""`/v1/payment-methods`: what a buyer can be offered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from agreements import catalog
from agreements.catalog import Availability, Per
from agreements.views import View
from api.auth import Caller
from api.bodies import StrictRoute
from api.views import ListView

router = APIRouter(prefix="/v1/payment-methods", tags=["payment methods"], route_class=StrictRoute)


def _known(gateway: object) -> object:
    if str(gateway).lower() not in _KNOWN:
        raise ValueError(f"must be one of: {', '.join(_KNOWN)}")
    return gateway


_KNOWN = tuple(sorted({entry.gateway for entry in catalog.METHODS}))

Region = Annotated[str | None, Query(pattern=r"^[A-Za-z]{2}$", description="ISO 3166-1 alpha-2, in either case.")]
Currency = Annotated[str | None, Query(pattern=r"^[A-Za-z]{3}$", description="ISO 4217, in either case.")]
Gateway = Annotated[
    str | None,
    BeforeValidator(_known),
    WithJsonSchema({"type": "string", "enum": list(_KNOWN)}),
    Query(description="In either case."),
]


class LimitView(View):
    """The most a method takes per debit, day, month or year, in minor units; `unstated`: the provider does not say."""

    value: int
    per: Per


class PaymentMethodView(View):
    """One method of one gateway. Amounts are minor units of `currency`."""

    gateway: str
    type: str
    name: str
    region: str
    currency: str
    minimum: int | None
    """Of debits and refunds; null where none is published."""
    multiple_of: int
    limits: list[LimitView]
    """For information: the customer's own standing and the merchant's contract may allow less."""
    refreshable: bool | None
    """Whether its tokens can be refreshed without the customer; null where only the token will tell."""
    refresh_days: int | None
    """How many days before a token's expiry the provider wants it refreshed, where it can be."""
    refund_days: int | None
    """Until how many days after the payment refunds are taken, by the most generous contract; null if not known."""
    verification: int | None
    """What a set-up without a first payment takes from the customer, and gives back; null where nothing is taken."""
    customs: bool
    """Whether its payments can be declared at customs."""
    availability: Availability
    """`unverified` methods are refused for new agreements; `note` says why."""
    note: str | None


_VIEWS = TypeAdapter(list[PaymentMethodView])


@router.get("")
async def list_(
    _: Caller, region: Region = None, gateway: Gateway = None, currency: Currency = None
) -> ListView[PaymentMethodView]:
    """All that match, in one page."""
    found = [
        entry
        for entry in catalog.listed()
        if _same(region, entry.region) and _same(gateway, entry.gateway) and _same(currency, entry.currency)
    ]
    return ListView(data=_VIEWS.validate_python(found, from_attributes=True), has_more=False, next_cursor=None)


def _same(asked: str | None, found: str) -> bool:
    return asked is None or asked.upper() == found.upper()
