"""Writes docs/problems.md from the one list of codes: `python -m tests.docs.problems_page`."""

from __future__ import annotations

from pathlib import Path

from api import reference

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"

if __name__ == "__main__":
    PAGE.write_text(reference.problems_in_markdown(), encoding="utf-8")
