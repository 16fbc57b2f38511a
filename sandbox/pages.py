"""The customer pages of all gateways: one look, and headers that suit a page on which money is agreed."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, Response

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""No form-action: browsers apply it to the redirect after the form too, which leads to any merchant's address."""

templates = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


def page(template: str, status: int = 200, **values: object) -> Response:
    """A page from a template of `sandbox/templates`."""
    return HTMLResponse(templates.get_template(template).render(values), status, HEADERS)


def message(title: str, text: str, status: int) -> Response:
    """A page that only says something."""
    return page("message.html", status, title=title, text=text)
