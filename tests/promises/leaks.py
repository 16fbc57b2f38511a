"""A search for plain secrets in everything the engine leaves behind: histories, database, logs, messages."""

from __future__ import annotations

import base64
import binascii
import io
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import structlog
from google.protobuf.message import Message
from sqlalchemy import text
from sqlmodel import SQLModel
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import PayloadCodec

import logs
from store.database import Database

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")
_DEEP = 3


def contents(raw: bytes, depth: int = _DEEP) -> Iterator[bytes]:
    """The bytes, and whatever base64 in them says, and base64 in that."""
    yield raw
    if depth:
        for found in _BASE64.findall(raw):
            for letters in {found, found.replace(b"-", b"+").replace(b"_", b"/")}:
                try:
                    decoded = base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
                except binascii.Error:
                    continue
                yield from contents(decoded, depth - 1)


def leaked(raw: bytes, secrets: Iterable[str]) -> set[str]:
    """The secrets that can be read in the bytes."""
    needles = {secret: secret.encode() for secret in secrets}
    return {secret for part in contents(raw) for secret, needle in needles.items() if needle in part}


async def histories(temporal: Client) -> dict[str, bytes]:
    """Every workflow's events and every standalone activity's input, failures and result; what is sealed is opened."""
    codec = temporal.data_converter.payload_codec
    found: dict[str, bytes] = {}
    async for workflow in temporal.list_workflows(""):
        handle = temporal.get_workflow_handle(workflow.id, run_id=workflow.run_id)
        events = [event async for event in handle.fetch_history_events()]
        for event in events:
            await unseal(event, codec)
        found[f"{workflow.id} {workflow.run_id}"] = b"".join(event.SerializeToString() for event in events)
    async for activity in temporal.list_activities(""):
        told = await temporal.get_activity_handle(activity.activity_id).describe(
            include_input=True, include_outcome=True, include_last_failure=True
        )
        raw = [part for part in (told.raw_info, told.raw_input, told.raw_outcome) if part is not None]
        for part in raw:
            await unseal(part, codec)
        found[activity.activity_id] = b"".join(part.SerializeToString() for part in raw)
    return found


async def unseal(message: Message, codec: PayloadCodec | None) -> None:
    """Opens every payload in a message of Temporal's, however deep, in place."""
    if codec is None:
        return
    if isinstance(message, Payload):
        [opened] = await codec.decode([message])
        message.CopyFrom(opened)
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            parts = value.values() if isinstance(value, Mapping) else value if field.is_repeated else [value]
            for part in parts:
                if isinstance(part, Message):
                    await unseal(part, codec)


async def rows(database: Database) -> dict[str, bytes]:
    """Every column of every row, as a dump would show it."""
    found: dict[str, bytes] = {}
    async with database.transaction() as session:
        connection = await session.connection()
        for table in SQLModel.metadata.sorted_tables:
            dumped = await connection.execute(text(f'select row_to_json(t)::text from "{table.name}" t'))  # noqa: S608
            found[table.name] = "\n".join(row for (row,) in dumped).encode()
    return found


@contextmanager
def captured_logs(environment: str = "production") -> Iterator[io.StringIO]:
    """What our processes write while the block runs, by their own set-up of logs."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    root.handlers.clear()  # else the set-up would close those of pytest
    try:
        logs.set_up(environment, stream)
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)
