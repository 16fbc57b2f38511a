"""On which line of a TOML file a table or key stands: `tomllib` does not tell, and a refusal must."""

from __future__ import annotations

import re
from collections.abc import Sequence

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\"-]+)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"-]+)\s*=")
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*")


class Lines:
    """The lines (from 1) of a file's tables and keys. Arrays and inline tables stand where their key does."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        base: Path = ()
        depth = 0
        for number, line in enumerate(text.splitlines(), 1):
            if depth == 0:
                if header := _HEADER.match(line):
                    base = self._table(_parts(header[2]), array=header[1] == "[[")
                    self._lines.setdefault(base, number)
                elif key := _KEY.match(line):
                    self._lines.setdefault((*base, *_parts(key[1])), number)
            bare = _TEXT.sub("", line)
            depth += sum(map(bare.count, "[{")) - sum(map(bare.count, "]}"))

    def __contains__(self, path: Path) -> bool:
        return path in self._lines

    def of(self, path: Sequence[str | int]) -> int:
        """The line of the innermost table or key on the way to `path`; 1 for the file as a whole."""
        for length in range(len(path), 0, -1):
            if line := self._lines.get(tuple(path[:length])):
                return line
        return 1

    def _table(self, parts: list[str], *, array: bool) -> Path:
        path: Path = ()
        for part in parts[:-1]:
            path = (*path, part)
            if path in self._counts:
                path = (*path, self._counts[path])
        path = (*path, parts[-1])
        if not array:
            return path
        self._counts[path] = self._counts.get(path, -1) + 1
        return (*path, self._counts[path])


def _parts(name: str) -> list[str]:
    return [part.strip('"') for part in name.split(".")]
