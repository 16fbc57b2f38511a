"""The API's description holds together, whatever routes there are: examples, names, problems, events, pages.

That answers are as described is checked where they are given: by every test of the API, and by generated requests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

from api import reference
from api.description.events import EVENTS
from api.description.operations import operation_id
from api.problems import KINDS
from api.routes.webhook_endpoints import EVENT_TYPES
from tests.docs.problems_page import PAGE
from tests.support.description import Description

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def description(app: FastAPI) -> Description:
    return Description(app.openapi())


def test_it_is_openapi_3_1(description: Description) -> None:
    assert description.schema["openapi"].startswith("3.1.")
    jsonschema_rs.meta.validate({"$defs": description.schema["components"]["schemas"]})


def test_every_reference_leads_somewhere(description: Description) -> None:
    found = list(_references(description.schema))
    assert found
    for reference_ in found:
        target: Any = description.schema
        for part in reference_.removeprefix("#/").split("/"):
            assert part in target, reference_
            target = target[part]


def test_every_operation_says_what_it_does(description: Description) -> None:
    known = {tag["name"] for tag in description.schema["tags"] if tag["description"]}
    for method, path, operation in description.operations():
        assert operation["summary"], path
        assert operation["description"].endswith("."), f"{method} {path}: {operation.get('description')}"
        assert operation["tags"], path
        assert set(operation["tags"]) <= known, f"{path}: describe its tag in api/description/operations.py"


def test_every_body_and_every_answer_has_examples_and_they_are_sound(description: Description) -> None:
    for _, _, operation in description.operations():
        name = operation["operationId"]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            _examples_hold(description, body, f"the body of {name} (api/description/bodies.py)")
        for status, response in description.responses(operation):
            for kind, content in response.get("content", {}).items():
                if "json" in kind:
                    _examples_hold(description, content, f"{status} of {name} (api/description/answers.py)")


def test_what_the_code_says_of_a_field_is_told(description: Description) -> None:
    """Models of what is asked and answered have `use_attribute_docstrings`."""
    schemas = description.schema["components"]["schemas"]
    for path in (*(ROOT / "api").rglob("*.py"), *(ROOT / "agreements").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            # What is decorated is a dataclass, which may share a model's name.
            if isinstance(node, ast.ClassDef) and node.name in schemas and not node.decorator_list:
                told = schemas[node.name].get("properties", {})
                untold = [field for field in _documented_fields(node) if not told.get(field, {}).get("description")]
                assert not untold, f"{path.name}: {node.name}"


def test_every_refusal_is_described(description: Description) -> None:
    for _, path, operation in description.operations():
        problems = {
            code: status
            for status, response in description.responses(operation)
            for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
        }
        assert all(KINDS[code].status == int(status) for code, status in problems.items())
        assert "internal_error" in problems, path
        assert ("unauthorized" in problems) == path.startswith("/v1/"), path
        assert ("not_found" in problems) == ("{" in path), path
        assert ("malformed_json" in problems) == ("requestBody" in operation), path


def test_an_idempotency_key_is_described_as_required(description: Description) -> None:
    starred = {
        operation["operationId"]
        for _, _, operation in description.operations()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key" and parameter["required"]
    }
    assert {"create_agreement", "revoke_agreement", "create_charge_refund"} <= starred
    assert "create_webhook_endpoint" not in starred


NAMES = {
    "create_agreement": ("post", "/v1/agreements"),
    "list_agreements": ("get", "/v1/agreements"),
    "get_agreement": ("get", "/v1/agreements/{agreement_id}"),
    "update_agreement": ("patch", "/v1/agreements/{agreement_id}"),
    "pause_agreement": ("post", "/v1/agreements/{agreement_id}/pause"),
    "resume_agreement": ("post", "/v1/agreements/{agreement_id}/resume"),
    "revoke_agreement": ("post", "/v1/agreements/{agreement_id}/revoke"),
    "create_agreement_portal_link": ("post", "/v1/agreements/{agreement_id}/portal-links"),
    "get_agreement_schedule": ("get", "/v1/agreements/{agreement_id}/schedule"),
    "get_agreement_timeline": ("get", "/v1/agreements/{agreement_id}/timeline"),
    "set_agreement_cycle": ("put", "/v1/agreements/{agreement_id}/cycles/{number}"),
    "create_agreement_charge": ("post", "/v1/agreements/{agreement_id}/charges"),
    "create_agreement_card_change": ("post", "/v1/agreements/{agreement_id}/card-changes"),
    "list_agreement_card_changes": ("get", "/v1/agreements/{agreement_id}/card-changes"),
    "list_charges": ("get", "/v1/charges"),
    "get_charge": ("get", "/v1/charges/{charge_id}"),
    "cancel_charge": ("post", "/v1/charges/{charge_id}/cancel"),
    "create_charge_refund": ("post", "/v1/charges/{charge_id}/refunds"),
    "get_refund": ("get", "/v1/refunds/{refund_id}"),
    "list_customer_credentials": ("get", "/v1/customers/{customer_id}/credentials"),
    "delete_customer_credential": ("delete", "/v1/customers/{customer_id}/credentials/{credential_id}"),
    "list_payment_methods": ("get", "/v1/payment-methods"),
    "list_events": ("get", "/v1/events"),
    "redeliver_event": ("post", "/v1/events/{event_id}/redeliver"),
    "create_webhook_endpoint": ("post", "/v1/webhook-endpoints"),
    "delete_webhook_endpoint": ("delete", "/v1/webhook-endpoints/{endpoint_id}"),
    "rotate_webhook_endpoint_secret": ("post", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"),
    "create_test_clock": ("post", "/v1/test-clocks"),
    "advance_test_clock": ("post", "/v1/test-clocks/{clock_id}/advance"),
    "check_readiness": ("get", "/readyz"),
}
"""What generated clients call operations. A name that changes breaks their users."""


@pytest.mark.parametrize("name", NAMES)
def test_operations_keep_their_names(name: str) -> None:
    assert operation_id(*NAMES[name]) == name


def test_no_two_operations_share_a_name(description: Description) -> None:
    found = [operation["operationId"] for _, _, operation in description.operations()]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)+", name) for name in found)


# Problems


def test_every_problem_raised_is_a_listed_one_and_every_listed_one_is_raised() -> None:
    raised = set(_raised())
    assert raised - KINDS.keys() == set()
    assert KINDS.keys() - raised == set(), "nobody raises these"


def test_every_problem_says_what_it_means_and_what_to_do() -> None:
    for code, kind in KINDS.items():
        assert re.fullmatch("[a-z]+(_[a-z]+)*", code)
        assert 400 <= kind.status <= 599
        assert not kind.title.endswith("."), code
        assert kind.means.endswith("."), code
        assert kind.next.endswith("."), code


def test_the_page_of_problems_lists_them_all() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == reference.problems_in_markdown(), "run: python -m tests.docs.problems_page"


# Events


def test_every_event_type_is_described(description: Description) -> None:
    assert EVENTS.keys() == EVENT_TYPES
    assert description.schema["webhooks"].keys() == EVENT_TYPES


def test_every_event_has_a_sound_example_and_its_headers(description: Description) -> None:
    for type_, path in description.schema["webhooks"].items():
        operation = path["post"]
        content = operation["requestBody"]["content"]["application/json"]
        _examples_hold(description, content, type_)
        example = content["examples"]["example"]["value"]
        assert example["type"] == type_
        assert description.flaws(content["schema"], {**example, "type": "agreement.wished"})
        required = {parameter["name"] for parameter in operation["parameters"] if parameter["required"]}
        assert required == {"webhook-id", "webhook-timestamp", "webhook-signature"}


# Pages


@pytest.mark.parametrize("path", ["/docs", "/problems", *(f"/problems/{code}" for code in KINDS)])
async def test_pages_run_nothing_and_load_nothing(http: httpx.AsyncClient, path: str) -> None:
    page = await http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"<(script|link|img|iframe|object|form)\b|\bon\w+=|javascript:|style=", page.text)
    assert not re.search(r'(src|srcset)="|@import|url\(', page.text)


async def test_the_reference_has_an_address_for_every_call_event_and_schema(
    http: httpx.AsyncClient, description: Description
) -> None:
    page = (await http.get("/docs")).text
    addresses = set(re.findall(r'\bid="([^"]+)"', page))
    calls = {operation["operationId"] for _, _, operation in description.operations()}
    told = {path["post"]["operationId"] for path in description.schema["webhooks"].values()}
    schemas = {f"schema-{name}" for name in description.schema["components"]["schemas"]}
    assert calls | told | schemas <= addresses
    assert set(re.findall(r'href="#([^"]+)"', page)) <= addresses
    for link in set(re.findall(r'href="(problems[^"]*|openapi.json)"', page)):
        assert (await http.get(f"/{link}")).status_code == 200, link


async def test_a_problem_s_type_leads_to_its_page(http: httpx.AsyncClient) -> None:
    problem = (await http.get("/nowhere")).json()
    page = await http.get(problem["type"])
    kind = KINDS["not_found"]
    for said in (kind.title, kind.means, kind.next, "404"):
        assert said in page.text


def _examples_hold(description: Description, content: dict[str, Any], where: str) -> None:
    assert content.get("examples"), f"no example for {where}"
    for example in content["examples"].values():
        assert description.flaws(content["schema"], example["value"]) == [], where


def _documented_fields(node: ast.ClassDef) -> Iterator[str]:
    for field, following in pairwise(node.body):
        says = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and says:
            yield field.target.id


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _raised() -> Iterator[str]:
    """The codes that `api/` makes problems of, and those that stand for a status of the framework's."""
    for path in (ROOT / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    yield str(code.value)
            if isinstance(node, ast.Dict) and path.name == "problems.py":
                yield from _of_statuses(node)


def _of_statuses(node: ast.Dict) -> Iterator[str]:
    for status, code in zip(node.keys, node.values, strict=True):
        if isinstance(status, ast.Constant) and isinstance(status.value, int) and isinstance(code, ast.Constant):
            yield str(code.value)
