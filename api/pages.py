"""The look, and the guard, of every page customers meet: one set of templates, one style, and no script but where a
card is typed.

Nothing on them is loaded from anywhere, nothing is kept by browsers and proxies, and no other site learns the address:
who has a page's address may do what is offered on it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import structlog
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api import outages
from api.guarded import GuardedRoute
from api.languages import Language, Voice, Wish

_log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
)
_STYLE = (_FOLDER / "page.css").read_text()


def _hash(inline: str) -> str:
    """What a policy names a style or a script in a page by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()


_POLICY = f"default-src 'none'; style-src '{_hash(_STYLE)}'; base-uri 'none'; frame-ancestors 'none'"


def page(
    template: str,
    voice: Voice,
    values: Mapping[str, object],
    status: int = 200,
    *,
    leads_away: bool = False,
    switch: bool = True,
    script: str | None = None,
) -> Response:
    """A page. `leads_away`: its form ends at another site's page; `switch`: it can be had in the other languages;
    `script`: the one it may run, written into it.

    Browsers apply a policy on forms to the redirect that follows too, which may lead to any provider's address.
    """
    policy = _POLICY if leads_away else f"{_POLICY}; form-action 'self'"
    if script is not None:
        policy += f"; script-src '{_hash(script)}'"
    others = [language for language in Language if language is not voice.language] if switch else []
    shown = _TEMPLATES.get_template(template).render(
        values, script=script, voice=voice, say=voice.say, others=others, style=_STYLE
    )
    # What else guards a page is in the headers of every answer (api/headers.py).
    headers = {"Content-Security-Policy": policy, "Content-Language": voice.language.value}
    return HTMLResponse(shown, status, headers | {"X-Robots-Tag": "noindex, nofollow"})


class PageRoute(GuardedRoute):
    """A route whose answer people read: an outage is told them as a page, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, minded."""
        handle = super().get_route_handler()

        async def minded(request: Request) -> Response:
            try:
                return await handle(request)
            except outages.RAISED as error:
                part = outages.what_is_away(error)
                if part is None:
                    raise
                _log.warning("away", part=part, error=type(error).__name__)
                answer = said(Wish.of(request).voice(), "away", 503)
                answer.headers["Retry-After"] = "60"
                return answer

        return minded


def said(voice: Voice, what: str, status: int = 200, *, again: bool = False, back: str | None = None) -> Response:
    """A page that only says something: a title and a text of `said` in the words.

    `again` repeats the form that led here; `back` is the portal page's path.
    """
    # The repeated form may lead away, and there is nothing else on the page.
    values = {"what": what, "again": again, "back": back}
    return page("said.html", voice, values, status, leads_away=again, switch=False)


def onward(url: str) -> Response:
    """To another page, which does not see the address of this one: no answer of ours lets it."""
    return RedirectResponse(url, 303)
