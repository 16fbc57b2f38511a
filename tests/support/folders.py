"""Temporary data folders for the embedded engines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's unprivileged user can reach when tests run as root, unlike pytest's `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="autodebit-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
