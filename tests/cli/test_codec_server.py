"""Who has the operator key can read what Temporal stores, from the UI's own address and the CLI; nobody else can."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from cli.codec_server import LIMIT, CodecServerSettings, create_app
from cli.embedded.temporal import program
from tests.promises.leaks import captured_logs, leaked
from tests.sandbox.support import serving
from tests.support.clock import WorkflowClock
from workflows.codec import ENCODING, SealedPayloads, data_converter

UI = "https://temporal.example"
OPERATOR = "an operator key of some length, at least 32"
BEARER = {"authorization": f"Bearer {OPERATOR}"}
SECRET = '"Ana Cruz"'


@pytest.fixture
def ring() -> tuple[SecretStr, ...]:
    return (SecretStr(Fernet.generate_key().decode()),)


@pytest.fixture
async def server(ring: tuple[SecretStr, ...]) -> AsyncIterator[httpx.AsyncClient]:
    settings = CodecServerSettings(payload_keys=ring, codec_server_key=SecretStr(OPERATOR), codec_server_origin=UI)
    transport = httpx.ASGITransport(create_app(settings), client=("10.0.0.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://codec.example") as client:
        yield client


def plain() -> dict[str, Any]:
    metadata = {"encoding": base64.b64encode(b"json/plain").decode()}
    return {"payloads": [{"metadata": metadata, "data": base64.b64encode(SECRET.encode()).decode()}]}


async def test_what_is_encoded_is_sealed_and_decodes_again(
    server: httpx.AsyncClient, ring: tuple[SecretStr, ...]
) -> None:
    sealed = (await server.post("/encode", json=plain(), headers=BEARER)).json()
    [payload] = sealed["payloads"]
    assert base64.b64decode(payload["metadata"]["encoding"]) == ENCODING
    raw = Payload(
        metadata={name: base64.b64decode(value) for name, value in payload["metadata"].items()},
        data=base64.b64decode(payload["data"]),
    )
    assert SealedPayloads(ring).open(raw).data.decode() == SECRET, "the engine reads it"
    assert (await server.post("/decode", json=sealed, headers=BEARER)).json() == plain()
    assert (await server.post("/decode", json=plain(), headers=BEARER)).json() == plain(), "old ones in clear pass"
    basic = base64.b64encode(f"maria:{OPERATOR}".encode()).decode()
    assert (await server.post("/decode", json=sealed, headers={"authorization": f"basic {basic}"})).is_success


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", f"Bearer {OPERATOR}x", f"Bearer {OPERATOR[:-1]}", OPERATOR, f"Digest {OPERATOR}", "Basic !!!",
     "Basic " + base64.b64encode(f"{OPERATOR}:x".encode()).decode(), "Bearer \xe9"],
)  # fmt: skip
async def test_nobody_reads_without_the_key(server: httpx.AsyncClient, authorization: str) -> None:
    headers = {b"authorization": authorization.encode("latin1")} if authorization else {}
    for path in ("/decode", "/encode"):
        assert (await server.post(path, json=plain(), headers=headers)).status_code == 401
    asked = await server.get("/", headers=headers)
    assert (asked.status_code, asked.headers["www-authenticate"][:5]) == (401, "Basic")


async def test_only_the_ui_s_own_pages_may_read_the_answers(server: httpx.AsyncClient) -> None:
    wanted = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-namespace,authorization",
    }
    ours = await server.options("/decode", headers={"origin": UI, **wanted})
    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (200, UI)
    assert ours.headers["access-control-allow-credentials"] == "true"
    for origin in ("https://evil.example", "null", UI + ".evil.example", UI.replace("https", "http")):
        refused = await server.options("/decode", headers={"origin": origin, **wanted})
        assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (400, None)
        answer = await server.post("/decode", json=plain(), headers={"origin": origin, **BEARER})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[1]", 400), (b'"x"', 400), (b'{"payloads": [{"data": 1}]}', 400), (b'{"pay": []}', 400),
     (b"[" * 100_000, 400), (b"\xff", 400), (b" " * (LIMIT + 1), 413), (b'{"payloads": []}', 200)],
)  # fmt: skip
async def test_nonsense_is_refused(server: httpx.AsyncClient, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json; charset=utf-8", **BEARER}
    assert (await server.post("/decode", content=body, headers=headers)).status_code == status
    sent_by_a_form = await server.post("/decode", content=body, headers={"content-type": "text/plain", **BEARER})
    assert sent_by_a_form.status_code == 415


async def test_every_use_is_told_and_no_content(server: httpx.AsyncClient, ring: tuple[SecretStr, ...]) -> None:
    other = SealedPayloads([SecretStr(Fernet.generate_key().decode())]).seal(Payload(data=SECRET.encode()))
    foreign = {"payloads": [{
        "metadata": {name: base64.b64encode(value).decode() for name, value in other.metadata.items()},
        "data": base64.b64encode(other.data).decode(),
    }]}  # fmt: skip
    with captured_logs() as written:
        maria = base64.b64encode(f"maria:{OPERATOR}".encode()).decode()
        headers = {"authorization": f"Basic {maria}", "x-namespace": "payments"}
        await server.post("/decode", json=plain(), headers=headers)
        await server.post("/decode", json=plain(), headers={"x-namespace": "payments"})
        missing = await server.post("/decode", json=foreign, headers=headers)
    assert missing.status_code == 422
    assert "AUTODEBIT_PAYLOAD_KEYS" in missing.text
    told = [json.loads(line) for line in written.getvalue().splitlines()]
    used, refused, unopened = [line for line in told if line["event"].startswith("codec_")]
    assert used.items() >= {
        "event": "codec_used", "operator": "maria", "namespace": "payments", "payloads": 1, "address": "10.0.0.9"
    }.items()  # fmt: skip
    assert (refused["event"], refused["status"], unopened["status"]) == ("codec_refused", 401, 422)
    for private in ("Ana", plain()["payloads"][0]["data"], OPERATOR):
        assert private not in written.getvalue()


async def test_temporal_s_own_command_line_reads_and_writes_through_it(
    ring: tuple[SecretStr, ...], clock: WorkflowClock
) -> None:
    config = clock.client.config()
    config["data_converter"] = data_converter(ring)
    id_ = f"sealed-{uuid4().hex}"
    handle = await Client(**config).start_workflow(
        "nobody", "PHP 499.00", id=id_, task_queue="nobody's", static_summary=SECRET
    )
    settings = CodecServerSettings(payload_keys=ring, codec_server_key=SecretStr(OPERATOR), codec_server_origin=UI)
    async with serving(create_app(settings)) as url:

        async def temporal(*words: str, endpoint: bool = True) -> str:
            codec = ("--codec-endpoint", url, "--codec-auth", f"Bearer {OPERATOR}") if endpoint else ()
            address = clock.client.service_client.config.target_host
            done = await asyncio.create_subprocess_exec(
                program(), "workflow", *words, "--workflow-id", id_, "--address", address, *codec,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output, _ = await done.communicate()
            assert done.returncode == 0, output
            return output.decode()

        assert "Ana Cruz" not in await temporal("describe", endpoint=False)
        assert "Ana Cruz" in await temporal("describe")
        await temporal("signal", "--name", "revoke", "--input", '{"reason": "Ana Cruz asked"}')
    history = (await handle.fetch_history()).to_json().encode()
    await handle.terminate()
    assert leaked(history, ["Ana Cruz", "PHP 499.00"]) == set()


@pytest.mark.parametrize(
    "wrong",
    [{"payload_keys": ""}, {"payload_keys": "plain"}, {"codec_server_key": "short"}, {"codec_server_origin": "*"},
     {"codec_server_origin": UI + "/"}, {"payload_keys": "no key"}],
)  # fmt: skip
def test_it_does_not_start_open(wrong: dict[str, str]) -> None:
    given = {
        "payload_keys": Fernet.generate_key().decode(),
        "codec_server_key": OPERATOR,
        "codec_server_origin": UI,
    }
    CodecServerSettings.model_validate(given)
    with pytest.raises(ValidationError):
        CodecServerSettings.model_validate(given | wrong)
