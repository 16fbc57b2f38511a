"""Copies of the shipped rulebook to be changed, and where in them something stands."""

import shutil
from pathlib import Path

from agreements.rulebook import loading

SHIPPED = Path(str(loading.shipped()))


def copy(to: Path) -> Path:
    """A copy of the shipped rulebook inside a folder."""
    return Path(shutil.copytree(SHIPPED, to / "rulebook"))


def put(file: Path, old: str, new: str, times: int = 1) -> None:
    """Replaces the first occurrences of a text, which must be there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, times), encoding="utf-8")


def line_of(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if text in line)


def header_before(file: Path, text: str) -> int:
    """The line of the table a text stands in."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(n for n in range(line_of(file, text), 0, -1) if lines[n - 1].startswith("["))
