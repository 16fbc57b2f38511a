"""A namespace somebody else made becomes one of ours."""

from __future__ import annotations

from temporalio.common import SearchAttributePair
from temporalio.testing import WorkflowEnvironment

from cli.embedded.temporal import program
from workflows import namespace, search_attributes


async def test_missing_search_attributes_are_registered_once() -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=program()) as bare:
        assert await namespace.prepare(bare.client) == sorted(key.name for key in search_attributes.ALL)
        assert await namespace.prepare(bare.client) == []


def test_an_email_address_is_no_search_attribute() -> None:
    """Merchants choose the ids of their customers, and search attributes are stored in clear."""
    key = search_attributes.CUSTOMER
    assert search_attributes.in_clear(key, "ana@example.com") == []
    assert search_attributes.in_clear(key, "cus-7") == [SearchAttributePair(key, "cus-7")]
