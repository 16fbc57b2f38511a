"""What a Temporal namespace needs before agreements can run in it."""

from __future__ import annotations

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client

from workflows import search_attributes


async def prepare(client: Client) -> list[str]:
    """Registers the search attributes that are missing, and answers their names; safe to run at every deployment."""
    operator = client.operator_service
    known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {
        key.name: key.indexed_value_type.value
        for key in search_attributes.ALL
        if key.name not in known.custom_attributes
    }
    if missing:
        request = AddSearchAttributesRequest(namespace=client.namespace)
        for name, kind in missing.items():
            request.search_attributes[name] = IndexedValueType.ValueType(kind)
        await operator.add_search_attributes(request)
    return sorted(missing)
