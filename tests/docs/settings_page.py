"""Writes the table of docs/settings.md from the settings themselves: `python -m tests.docs.settings_page`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from pydantic.fields import FieldInfo

from settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_TABLE = re.compile(r"^\| variable \|.*?\n\n", re.MULTILINE | re.DOTALL)


def table() -> str:
    """One row per setting, in the order of the class."""
    rows = [f"| `{_name(name)}` | {_default(field)} | {field.description} |" for name, field in _fields()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n\n"


def with_table(page: str) -> str:
    """The page with its table as it should be."""
    return _TABLE.sub(lambda _: table(), page, count=1)


def _fields() -> list[tuple[str, FieldInfo]]:
    return list(Settings.model_fields.items())


def _name(field: str) -> str:
    return f"{Settings.model_config['env_prefix']}{field}".upper()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, ()):
        return "none"
    if isinstance(field.default, timedelta):
        days, rest = divmod(field.default, timedelta(days=1))
        return f"`P{days}D`" if days and not rest else f"`{field.default.total_seconds():g}` seconds"
    return f"`{field.default}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
