"""Providers' settlement files: which module reads whose. Free of the HTTP client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timezone
from types import MappingProxyType
from typing import BinaryIO, Protocol

from agreements.reconciliation import ReportRow, SummaryRow
from agreements.reconciliation.reports import Report
from gateways.antom import settlements as antom


class Reader(Protocol):
    """How one provider's files are read. Both raise BadReport, naming line and column."""

    ZONE: timezone
    """In which the provider's days begin and end."""

    def describe(self, name: str, stream: BinaryIO) -> Report:
        """What the file is, after reading all of it."""

    def rows(self, name: str, stream: BinaryIO) -> Iterator[ReportRow | SummaryRow]:
        """Its rows, one after the other."""


READERS: Mapping[str, Reader] = MappingProxyType({"antom": antom})
"""By gateway; of the others no files are known."""
