"""`/v1/payment-methods`: what a buyer can be offered."""

from __future__ import annotations

from fastapi import APIRouter

from agreements import catalog
from agreements.views import View
from api.auth import Caller
from api.bodies import StrictRoute
from api.routes.parameters import Text
from api.views import ListView

router = APIRouter(prefix="/v1/payment-methods", tags=["payment methods"], route_class=StrictRoute)


class PaymentMethodView(View):
    """One method of one gateway. `minimum` and `multiple_of` are minor units of `currency`."""

    gateway: str
    type: str
    name: str
    region: str
    currency: str
    minimum: int
    multiple_of: int
    refreshable: bool | None
    """Whether its tokens can be refreshed without the customer; null where only the token will tell."""


@router.get("")
async def list_(
    _: Caller, region: Text = None, gateway: Text = None, currency: Text = None
) -> ListView[PaymentMethodView]:
    """All that match, in one page."""
    found = [
        PaymentMethodView.model_validate(method, from_attributes=True)
        for method in catalog.offered()
        if region in (None, method.region) and gateway in (None, method.gateway) and currency in (None, method.currency)
    ]
    return ListView(data=found, has_more=False, next_cursor=None)
