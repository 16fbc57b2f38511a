"""Pages for people: every call, schema and problem, rendered from the description and the list of codes.

No script, nothing from other hosts; readable on paper, and every call and schema has an address of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markupsafe import Markup

from api.openapi import operations
from api.problems import KINDS

_FOLDER = Path(__file__).parent / "templates"
_STYLE = (_FOLDER / "reference.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_MARKDOWN = MarkdownIt("commonmark", {"html": False})
_LIMITS = {
    "minLength": "at least",
    "maxLength": "characters at most",
    "minimum": "from",
    "exclusiveMinimum": "more than",
    "maximum": "to",
    "minItems": "entries from",
    "maxItems": "to",
    "maxProperties": "members at most",
    "pattern": "pattern",
}

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What the pages are sent with: nothing but their own style may act."""

Json = dict[str, Any]


def _markdown(text: str) -> Markup:
    # Rendered with raw HTML off: what is not markdown comes out escaped.
    return Markup(_MARKDOWN.render(text))  # noqa: S704


_TEMPLATES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True)
_TEMPLATES.filters |= {
    "markdown": _markdown,
    "anchor": lambda name: name.replace(" ", "-"),
    "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
}
_TEMPLATES.globals |= {"style": Markup(_STYLE), "limits": _LIMITS}  # noqa: S704


def calls(schema: Json) -> str:
    """The whole description as one page."""
    return _TEMPLATES.get_template("reference.html").render(
        info=schema["info"], tags=list(_tags(schema)), schemas=schema["components"]["schemas"]
    )


def problem(code: str) -> str:
    """The page of one code. Raises KeyError if there is none."""
    return _TEMPLATES.get_template("problem.html").render(code=code, kind=KINDS[code])


def problems() -> str:
    """All codes on one page."""
    return _TEMPLATES.get_template("problems.html").render(kinds=KINDS)


def problems_in_markdown() -> str:
    """The same for docs/problems.md."""
    told = [
        f"## `{code}`\n\n**{kind.title}** (HTTP {kind.status}). {kind.means}\n\nNext: {kind.next}\n"
        for code, kind in KINDS.items()
    ]
    return "\n".join([_HEAD, *told])


_HEAD = """\
# Problems

Every refusal is a problem document by [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457), `application/problem+json`:

```json
{"type": "https://pay.example/problems/reference_taken", "title": "The reference is in use", "status": 409,
 "detail": "another agreement has the reference sub-1001", "code": "reference_taken",
 "next": "Choose another reference, or find the agreement by the reference filter."}
```

`errors` names the fields at fault by JSON pointers into the body; `/query/…` and `/headers/…` name what is outside of
it. Decide by `code`, and by `status` where you do not know the code: releases may add some. The engine serves each
code's page at `/problems/{code}`.
"""


def _tags(schema: Json) -> Iterator[Json]:
    """Every tag with its operations, webhooks last."""
    webhooks = [{**found["post"], "method": "event", "path": name} for name, found in schema["webhooks"].items()]
    described = [{**found, "method": method, "path": path} for method, path, found in operations(schema)]
    for tag in schema["tags"]:
        under = [operation for operation in (*described, *webhooks) if tag["name"] in operation["tags"]]
        yield {**tag, "operations": [_resolved(schema, operation) for operation in under]}


def _resolved(schema: Json, operation: Json) -> Json:
    """With its shared answers put in place."""
    responses = {
        status: {**schema["components"]["responses"][response["$ref"].rpartition("/")[2]], "problem": True}
        if "$ref" in response
        else response
        for status, response in operation["responses"].items()
    }
    return {**operation, "responses": responses}
