"""Holds answers to the API's own description: their status, their problem's code, their shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
from starlette.routing import compile_path

Json = dict[str, Any]


class Description:
    """An OpenAPI document, asked about single answers."""

    def __init__(self, schema: Json) -> None:
        self.schema = schema
        self._paths = [(compile_path(template)[0], template) for template in schema["paths"]]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Method, path and description of every operation."""
        for path, found in self.schema["paths"].items():
            for method, operation in found.items():
                yield method, path, operation

    def responses(self, operation: Json) -> Iterator[tuple[str, Json]]:
        """Every described answer, those shared by several operations in full."""
        for status, response in operation["responses"].items():
            shared = response.get("$ref", "").rpartition("/")[2]
            yield status, self.schema["components"]["responses"][shared] if shared else response

    def flaws(self, schema: Json, value: Any) -> list[str]:
        """Where a value is not as its schema says."""
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            whole = {"allOf": [schema], "components": self.schema["components"]}
            self._validators[name] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return [f"{error.instance_path}: {error.message}" for error in self._validators[name].iter_errors(value)]

    def check(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Fails the test where an answer is not described. What the description leaves out is nobody's business."""
        template = next((found for known, found in self._paths if known.match(path)), None)
        operation = self.schema["paths"].get(template, {}).get(method.lower())
        if operation is None:
            return
        called = f"{operation['operationId']} answered {status}"
        described = dict(self.responses(operation)).get(str(status))
        assert described is not None, f"{called}, which is not described (api/description/refusals.py): {body[:300]!r}"
        if not body:
            assert "content" not in described, f"{called} without a body"
            return
        kind = content_type.partition(";")[0]
        assert kind in described["content"], f"{called} as {kind}"
        content = described["content"][kind]
        value = json.loads(body)
        if kind == "application/problem+json":
            assert value["code"] in content["examples"], f"{called} {value['code']} (api/description/refusals.py)"
        assert self.flaws(content["schema"], value) == [], called

    async def of_response(self, response: httpx.Response) -> None:
        """A hook for HTTP clients."""
        await response.aread()
        request = response.request
        self.check(
            request.method,
            request.url.path,
            response.status_code,
            response.headers.get("content-type", ""),
            response.content,
        )
