"""The look, and the guard, of every page customers meet: one set of templates, one style, and no script but where a
card is typed.

Nothing on them is loaded from anywhere, nothing is kept by browsers and proxies, and no other site learns the address:
who has a page's address may do what is offered on it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.languages import Language, Voice

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
)
_STYLE = (_FOLDER / "page.css").read_text()


def _hash(inline: str) -> str:
    """What a policy names a style or a script in a page by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()


_POLICY = f"default-src 'none'; style-src '{_hash(_STYLE)}'; base-uri 'none'; frame-ancestors 'none'"
_SECRET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_HEADERS = _SECRET | {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


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
    headers = _HEADERS | {"Content-Security-Policy": policy, "Content-Language": voice.language.value}
    return HTMLResponse(shown, status, headers)


def said(voice: Voice, what: str, status: int = 200, *, again: bool = False, back: str | None = None) -> Response:
    """A page that only says something: a title and a text of `said` in the words.

    `again` repeats the form that led here; `back` is the portal page's path.
    """
    # The repeated form may lead away, and there is nothing else on the page.
    values = {"what": what, "again": again, "back": back}
    return page("said.html", voice, values, status, leads_away=again, switch=False)


def onward(url: str) -> Response:
    """To another page, which must not see the address of this one."""
    return RedirectResponse(url, 303, _SECRET)
