"""The API's description of itself: FastAPI's, made true and complete.

What FastAPI cannot know is added here: which problems a call may answer with, names that generated clients can keep,
examples, and the webhooks. Everything follows from the described operations, so a new route is described like the old
ones; its example and its own problems are named in `api/description/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.routing import compile_path

from api.description import events, refusals
from api.description.answers import ANSWERS, OF_OPERATIONS
from api.description.bodies import BODIES
from api.description.operations import TAGS, operation_id, summary
from api.problems import ProblemDocument

ABOUT = """\
One durable workflow per agreement: the customer agrees once, every cycle is collected on its day, declines are tried
again within the card schemes' rules, and a revocation ends it at once.

**Keys.** `Authorization: Bearer sk_test_…` or `sk_live_…`. A key sees one merchant in one mode, and nothing else exists
for it.

**Values.** Money is `{"currency": "PHP", "value": 49900}`: ISO 4217, in minor units. Instants are RFC 3339 in UTC,
dates ISO 8601, zones IANA names. Unknown fields are refused. Answers may gain fields: leave alone those you do not
know.

**Lists** are `{"data": […], "has_more": …, "next_cursor": …}`: give `next_cursor` as `cursor` (`after` of events) for
the next page. Pages do not shift when something is added.

**Repeating.** Calls that make or move something take an `Idempotency-Key`: a repeat with the same key gets the first
answer again, with the header `Idempotency-Replayed: true`, however often and however late. The other calls can be
repeated as they are.

**Problems** are documents by RFC 9457. The `type` of each is the address of a page that says what it means and what to
do.
"""

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "One fresh key per operation, a UUID for example; a repeat with it gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": '^([!#-~][ -~]*|"[ !#-\\[\\]-~]+")$'},
    "example": "3f1d4c2e-9a57-4a0e-8a51-6f0c2d7b9e10",
}
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` on the first answer given again.",
        "schema": {"type": "string", "const": "true"},
    }
}
_LIMITS = {
    name: {"description": text, "schema": {"type": "string"}, "example": example}
    for name, text, example in (
        (
            "RateLimit-Policy",
            "The limit: `q` requests in `w` seconds. Left out where there is none.",
            '"test";q=500;w=10',
        ),
        ("RateLimit", "What is left of it: `r` requests now, one more in `t` seconds.", '"test";r=499;t=1'),
    )
}
_PROBLEM = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}

_NOTHING_SAID = "Successful Response"
"""FastAPI's own words."""

Json = dict[str, Any]


def describe(app: FastAPI) -> None:
    """Makes the application describe itself as told above; made once, at the first question."""
    generate = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def methods_at(app: FastAPI, path: str) -> list[str]:
    """Every described method of a path; the framework's `Allow` names those of the first route that has it only."""
    found = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
    return sorted(found | {"HEAD"} if "GET" in found else found)


def operations(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """Method, path and description of every operation."""
    for path, found in schema["paths"].items():
        for method, operation in found.items():
            yield method, path, operation


def _completed(schema: Json) -> Json:
    components = schema["components"]
    components["responses"] = {}
    for method, path, operation in operations(schema):
        operation["operationId"] = operation_id(method, path)
        operation["summary"] = summary(operation["operationId"])
        _describe_key(operation)
        _describe_limits(operation)
        components["responses"] |= _describe_problems(path, operation)
        _describe_answers(operation, components["schemas"])
        _add_examples(operation)
    schema["webhooks"], events_ = events.webhooks()
    components["schemas"] |= events_
    schema["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in _tags(schema)]
    return schema


def _describe_key(operation: Json) -> None:
    """The header is read as optional, so that its absence can be told apart from its emptiness; it is none the less
    required.
    """
    parameters = operation.get("parameters", [])
    for place, parameter in enumerate(parameters):
        if parameter["name"].lower() == _IDEMPOTENCY_KEY["name"].lower():  # type: ignore[attr-defined]
            parameters[place] = _IDEMPOTENCY_KEY
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    response["headers"] = _REPLAYED


def _describe_limits(operation: Json) -> None:
    if "security" in operation:
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                response["headers"] = response.get("headers", {}) | _LIMITS


def _describe_problems(path: str, operation: Json) -> Json:
    own = {
        status: response
        for status, response in operation["responses"].items()
        if _PROBLEM not in [content.get("schema") for content in response.get("content", {}).values()]
    }
    found, components = refusals.responses(refusals.codes(operation["operationId"], path, operation))
    operation["responses"] = dict(sorted((found | own).items()))
    return components


def _describe_answers(operation: Json, schemas: Json) -> None:
    """What the answer's schema says of itself, where the route says nothing."""
    for response in operation["responses"].values():
        if response.get("description") == _NOTHING_SAID:
            content = response.get("content", {}).get("application/json", {})
            name = _name(content.get("schema", {}))
            response["description"] = schemas.get(name, {}).get("description", "Done.").partition("\n")[0]


def _add_examples(operation: Json) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None and (name := _name(body["schema"])) in BODIES:
        body["examples"] = {_label(text): {"summary": text, "value": value} for text, value in BODIES[name].items()}
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json")
        example = None if content is None else _example(operation["operationId"], status, content["schema"])
        if content is not None and example is not None:
            content["examples"] = {"example": {"value": example}}


def _example(operation: str, status: str, schema: Json) -> Json | None:
    name = _name(schema)
    if (operation, status) in OF_OPERATIONS:
        return OF_OPERATIONS[operation, status]
    entry = name.removeprefix("ListView_").removesuffix("_")
    if name != entry and entry in ANSWERS:
        return {"data": [ANSWERS[entry]], "has_more": False, "next_cursor": None}
    return ANSWERS.get(name)


def _name(schema: Json) -> str:
    """The component a schema refers to, also where it may be null."""
    alternatives = schema.get("anyOf", [schema])
    return next((str(found["$ref"]).rpartition("/")[2] for found in alternatives if "$ref" in found), "")


def _label(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text.lower())


def _tags(schema: Json) -> set[str]:
    used = [operation.get("tags", []) for _, _, operation in operations(schema)]
    return {"webhooks", *(tag for tags in used for tag in tags)}
