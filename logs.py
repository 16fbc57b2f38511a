"""Structured logs: JSON lines, or coloured ones for people in `dev`. Every process sets them up here.

Secrets do not belong in logs at all; what slips in under a telling name, or looks like a key of ours, is taken out.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

# They log whole addresses and headers, which may hold codes and keys.
_QUIET = ("httpx", "httpcore", "hpack", "temporalio")

_REDACTED = "[redacted]"
_TELLING = re.compile(r"token|secret|password|private_key|api_key|auth_?code|authorization|cookie|signature", re.I)
_OURS = re.compile(r"\b(sk_(?:test|live)_|whsec_)[\w+/=-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.S)


def set_up(environment: str, to: TextIO = sys.stderr) -> None:
    """Once per process. Lines of libraries (uvicorn, asyncio) go the same way."""
    people = environment == "dev"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without local variables: those may hold secrets.
    ending: list[Processor] = (
        [redact, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if people
        else [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    )
    structlog.configure(processors=[*shared, *ending], logger_factory=structlog.PrintLoggerFactory(to))
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def redact(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """The line without what its names, or its looks, say is secret; also inside of nested values."""
    return {name: _clean(name, value) for name, value in line.items()}


def _clean(name: str, value: object) -> object:
    if _TELLING.search(name) and value is not None:
        return _REDACTED
    if isinstance(value, str):
        return _OURS.sub(lambda found: (found[1] or "") + _REDACTED, value)
    if isinstance(value, dict):
        return {inner: _clean(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", item) for item in value]
    return value
