"""Structured logs: JSON lines, or coloured ones for people in `dev`. Every process sets them up here.

Secrets do not belong in logs at all. What slips in is taken out: by a telling name, or by its looks, which are keys of
ours, `Authorization` values, links of ours with their tokens, private keys, and runs of digits as long as a card's.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

import structlog
from opentelemetry import trace
from structlog.types import EventDict, Processor, WrappedLogger

# They log whole addresses and headers, which may hold codes and keys.
_QUIET = ("httpx", "httpcore", "hpack", "temporalio")

_REDACTED = "[redacted]"
_TELLING = re.compile(
    r"token|secret|password|private_key|api_?key|auth_?code|authorization|cookie|signature|\bpan\b|card_?number|cvv|cvc",
    re.I,
)
_LOOKS = re.compile(
    r"""
    \b(?P<key>sk_(?:test|live)_|whsec_)[\w+/=-]+
    | \b(?P<scheme>(?:Bearer|Basic)\s+)[\w.~+/=-]+
    | (?P<link>/(?:portal|card-changes|pay|returns/\w+)/)[\w-]{16,}(?:\?[^\s"']*)?
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*
    | (?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-])
    """,
    re.I | re.S | re.X,
)
_AS_LONG_AS_A_CARD_S = 10**14
"""Numbers of 13 and 14 digits are more often milliseconds."""
_PLAIN = (bool, int, float, type(None))


def set_up(environment: str, to: TextIO = sys.stderr) -> None:
    """Once per process. Lines of libraries (uvicorn, asyncio) go the same way."""
    people = environment == "dev"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        traced,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without local variables, as text before anything is taken out: both may hold secrets.
    last = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if people
        else structlog.processors.JSONRenderer()
    )
    ending: list[Processor] = [structlog.processors.format_exc_info, redact, last]
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


def traced(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """The line with the trace it belongs to, where traces are made."""
    found = trace.get_current_span().get_span_context()
    return {**line, "trace_id": format(found.trace_id, "032x")} if found.is_valid else line


def redact(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """The line without what its names, or its looks, say is secret; also inside of nested values."""
    return {name: _clean(name, value) for name, value in line.items()}


def _clean(name: str, value: object) -> object:
    if _TELLING.search(name) and value is not None:
        return _REDACTED
    if isinstance(value, str):
        return _LOOKS.sub(_taken_out, value)
    if isinstance(value, dict):
        return {_clean("", str(inner)): _clean(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item) for item in value]
    if isinstance(value, int) and abs(value) >= _AS_LONG_AS_A_CARD_S:
        return _REDACTED
    # Whatever else there is, such as an exception, would be written by its own idea of itself.
    return value if isinstance(value, _PLAIN) else _clean(name, str(value))


def _taken_out(found: re.Match[str]) -> str:
    """What tells people what stood there, without it."""
    return next((kept for kept in found.groups() if kept), "") + _REDACTED
