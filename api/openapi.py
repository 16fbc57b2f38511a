"""The API's description of itself, true where FastAPI's own would not be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.routing import compile_path

from api.problems import ProblemDocument

_PROBLEM = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}


def describe_problems(app: FastAPI) -> None:
    """Makes the description say `application/problem+json` wherever a problem document is answered."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        for content in _contents(schema):
            if content.get("application/json", {}).get("schema") == _PROBLEM:
                content["application/problem+json"] = content.pop("application/json")
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def methods_at(app: FastAPI, path: str) -> list[str]:
    """Every described method of a path; the framework's `Allow` names those of the first route that has it only."""
    return sorted(
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    )


def _contents(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The `content` of every response."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                yield response.get("content", {})
