"""A Chromium of the system, for the tests marked `browser`, and what every page of ours must live up to."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

# The cores may be busy with everything else.
_PATIENCE = 60_000  # ms
expect.set_options(timeout=_PATIENCE)

PHONE: ViewportSize = {"width": 390, "height": 780}
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser; the test fails where there is none."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail(f"needs a Chromium on PATH: {', '.join(_NAMES)}")
    async with async_playwright() as playwright:
        # Root has no sandbox to run it in.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        started = await playwright.chromium.launch(executable_path=program, args=arguments, timeout=_PATIENCE)
        yield started
        await started.close()


async def opened(browser: Browser, locale: str) -> Page:
    """A page on a phone whose owner speaks this language."""
    page = await browser.new_page(viewport=PHONE, locale=locale)
    page.set_default_timeout(_PATIENCE)
    return page


async def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side, once all of it is there."""
    await page.wait_for_load_state()
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def flaws(page: Page) -> list[str]:
    """What keeps people from using the page, once all of it is there: read by ear, with big fingers, by keyboard, or
    with weak eyes.
    """
    await page.wait_for_load_state()
    found: list[str] = await page.evaluate(_LOOK)
    return found


# WCAG 2.2 AA: 1.3.1 and 2.4.6 (one h1, no level skipped, landmarks), 3.1.1 (language), 2.4.2 (title), 1.4.3 (contrast
# 4.5, of large text 3), 2.5.8 (targets; 44 px as phones' makers advise for buttons), 4.1.2 (names), 1.4.4 (16 px).
_LOOK = r"""() => {
  const flaws = [];
  const root = document.documentElement;
  if (!root.lang || !root.dir) flaws.push('no language or direction');
  if (!document.title.trim()) flaws.push('no title');
  if (document.querySelectorAll('main').length !== 1) flaws.push('not one main');
  const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1]);
  if (levels[0] !== 1 || levels.filter(l => l === 1).length !== 1) flaws.push('headings begin wrong: ' + levels);
  levels.forEach((l, i) => { if (i && l > levels[i - 1] + 1) flaws.push('a heading level is skipped: ' + levels); });
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  if (new Set(ids).size !== ids.length) flaws.push('an id is used twice: ' + ids);
  for (const name of ['aria-labelledby', 'aria-describedby'])
    for (const e of document.querySelectorAll(`[${name}]`))
      if (!document.getElementById(e.getAttribute(name))) flaws.push(`${name} points nowhere`);
  for (const e of document.querySelectorAll('section, nav'))
    if (!e.hasAttribute('aria-labelledby') && !e.hasAttribute('aria-label')) flaws.push('an unnamed ' + e.tagName);
  for (const e of document.querySelectorAll('a, button, input')) {
    const box = e.getBoundingClientRect(), name = (e.innerText || e.getAttribute('aria-label') || '').trim();
    if (!name && !(e.labels && e.labels.length)) flaws.push('no name: ' + e.outerHTML);
    const needed = e.matches('button, .button') ? 44 : 24;
    if (box.height < needed || box.width < 24) flaws.push(`small target (${box.width} x ${box.height}): ${name}`);
  }
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const rgba = text => { const n = text.match(/[\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, said = texts.currentNode.textContent.trim();
    if (!said || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const [a, b] = [light(rgba(style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) flaws.push(`contrast ${ratio.toFixed(2)}: ${said}`);
    if (size < 15) flaws.push(`small text (${size}px): ${said}`);
  }
  const field = [...document.querySelectorAll('input')].find(e => parseFloat(getComputedStyle(e).fontSize) < 16);
  if (field) flaws.push('phones zoom into a small field');
  return flaws;
}"""
