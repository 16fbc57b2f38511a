"""The codec server: opens sealed payloads for Temporal's Web UI and CLI, behind an operator key.

It is a decryption oracle, so it is an application of its own on a port of its own, knows the payload keys and nothing
else, and writes a line for every request: who, from where, for which namespace, how many payloads, never what is in
them. The protocol is Temporal's: `POST /encode` and `/decode` with `{"payloads": [...]}` as proto3 JSON.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import Annotated

import structlog
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from settings import PLAIN, checked_payload_keys
from workflows.codec import PayloadNotOpened, SealedPayloads

LIMIT = 4 * 1024 * 1024
"""Bytes of a body: Temporal's own limit for a message, and so for what its UI asks about at once."""
_PREFLIGHT_SECONDS = 600

log = structlog.get_logger()


def _listed(value: object) -> object:
    return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value


class CodecServerSettings(BaseSettings):
    """Apart from those of the engine: this process is given no database and no vault."""

    model_config = SettingsConfigDict(env_prefix="AUTODEBIT_", frozen=True)

    payload_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)] = Field(min_length=1)
    codec_server_key: SecretStr = Field(min_length=32)
    codec_server_origin: str = Field(pattern=r"^https?://[^/*,\s]+$")

    @field_validator("payload_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if keys[-1].get_secret_value() == PLAIN:
            raise ValueError(f"nothing but {PLAIN!r}: there is nothing to open")
        return checked_payload_keys(keys)


class Refused(Exception):
    """An answer that is not 200; its words are for the operator."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def create_app(settings: CodecServerSettings) -> Starlette:
    """The application. Only pages of `codec_server_origin` may read its answers."""
    codec, key = SealedPayloads(settings.payload_keys), settings.codec_server_key.get_secret_value()

    def route(path: str, each: Callable[[Payload], Payload]) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return JSONResponse(await _worked(request, key, each))
            except Refused as refused:
                log.warning("codec_refused", path=path, status=refused.status, **_seen(request))
                challenge = {"WWW-Authenticate": 'Basic realm="autodebit codec"'} if refused.status == 401 else {}
                return PlainTextResponse(f"{refused}\n", refused.status, challenge)

        return Route(path, answer, methods=["POST"])

    cors = Middleware(
        CORSMiddleware,
        allow_origins=[settings.codec_server_origin],
        allow_methods=["POST"],
        allow_headers=["content-type", "x-namespace", "authorization"],
        allow_credentials=True,
        max_age=_PREFLIGHT_SECONDS,
    )
    return Starlette(
        routes=[route("/encode", codec.seal), route("/decode", codec.open), Route("/", _greeting(key))],
        middleware=[cors],
    )


def _greeting(key: str) -> Callable[[Request], Response]:
    """A page at which a browser asks for the key, and then sends it along with the UI's requests, too."""

    def greet(request: Request) -> Response:
        if _operator(request, key) is None:
            challenge = {"WWW-Authenticate": 'Basic realm="autodebit codec"'}
            return PlainTextResponse("The operator key, as the password.\n", 401, challenge)
        return PlainTextResponse("Signed in: Temporal's UI can read payloads in this browser now.\n")

    return greet


async def _worked(request: Request, key: str, each: Callable[[Payload], Payload]) -> dict[str, object]:
    operator = _operator(request, key)
    if operator is None:
        raise Refused(401, "the operator key is missing or wrong")
    # No page of another origin can send this type without a preflight, which it does not pass.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "send application/json")
    payloads = _payloads(await _body(request))
    try:
        done = [each(payload) for payload in payloads]
    except PayloadNotOpened as error:
        raise Refused(422, str(error)) from error
    log.info("codec_used", path=request.url.path, operator=operator, payloads=len(done), **_seen(request))
    return {"payloads": [MessageToDict(payload) for payload in done]}


def _seen(request: Request) -> dict[str, str]:
    client = request.client.host if request.client else ""
    return {"address": client, "namespace": request.headers.get("x-namespace", "")[:64]}


def _operator(request: Request, key: str) -> str | None:
    """By what name somebody with the key comes; None without it. The name is their own word, the key proves nothing
    but itself."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    name = "bearer"
    if scheme.lower() == "basic":
        try:
            name, _, given = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
    elif scheme.lower() != "bearer":
        return None
    return (name[:64] or "unnamed") if hmac.compare_digest(given.encode(), key.encode()) else None


async def _body(request: Request) -> bytes:
    came = b""
    async for chunk in request.stream():
        came += chunk
        if len(came) > LIMIT:
            raise Refused(413, f"the body is larger than {LIMIT} bytes")
    return came


def _payloads(body: bytes) -> list[Payload]:
    try:
        return list(ParseDict(json.loads(body), Payloads()).payloads)
    except (ValueError, ParseError, RecursionError, AttributeError) as error:
        raise Refused(400, "no payloads as Temporal writes them in JSON") from error
