"""Customers: known by e-mail address, with what they stored (gateways/pay-and-save.md §2.4, §3.6, §3.7)."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from sandbox.pivot.answers import Answer, ApiError, Call, success
from sandbox.pivot.cards import NAMESPACE
from sandbox.pivot.messages import CustomerData, Nothing
from sandbox.pivot.state import Customer, StoredMethod
from sandbox.pivot.views import customer_view


def retrieve(call: Call, _request: Nothing) -> Answer:
    """`GET /v1/customers/{id}`."""
    return success(customer_view(call.session, known(call, call.path["id"])))


def known(call: Call, customer_id: str) -> Customer:
    """A customer of this client. Raises ApiError."""
    customer = call.session.get(Customer, customer_id)
    if customer is None or customer.client_id != call.client.client_id:
        raise ApiError("resource_missing", "customerId", "does not exist")
    return customer


def upsert(call: Call, data: CustomerData) -> Customer:
    """The customer of an e-mail address, with the details sent now. The same address has the same id, always."""
    customer_id = str(uuid.uuid5(NAMESPACE, f"{call.client.client_id} {data.email.lower()}"))
    details = data.model_dump(mode="json", by_alias=True, exclude_none=True)
    customer = call.session.get(Customer, customer_id)
    if customer is None:
        customer = Customer(customer_id, call.client.client_id, details)
        call.session.add(customer)
        call.session.flush()
    else:
        customer.details = customer.details | details
    return customer


def method_of(call: Call, token: str, customer: Customer, field: str) -> StoredMethod:
    """What a customer's token stands for. Raises ApiError: 404 for a token nobody knows, 400 for an inactive one."""
    method = call.session.scalar(select(StoredMethod).where(StoredMethod.token == token))
    if method is None or method.customer_id != customer.id:
        raise ApiError("resource_missing", field, "does not exist")
    if method.status != "ACTIVE":
        raise ApiError("api_validation_error", field, "is not active")
    return method
