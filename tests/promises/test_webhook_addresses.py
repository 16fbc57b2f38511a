"""Webhooks stay out of our own network, whatever a merchant's name servers say, and go to whom they are meant for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.exceptions import ApplicationError

from activities.webhook_calls import is_public
from tests.promises.webhook_desk import Desk, a_desk
from tests.support.house import House, Shop


@pytest.fixture
async def desk(house: House, shop: Shop) -> AsyncIterator[Desk]:
    async with a_desk(house, shop) as found:
        yield found


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://10.1.2.3/hook",
        "https://169.254.169.254/latest",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[fd00::1]/hook",
    ],
)
async def test_a_live_webhook_does_not_reach_into_our_own_network(desk: Desk, url: str) -> None:
    (delivery,) = await desk.write("agreement.amended")
    await desk.change_endpoint(url=url, livemode=True)
    assert isinstance(await desk.attempt(delivery), ApplicationError)
    row = await desk.row(delivery)
    assert (row.last_error, row.attempts) == ("the address is private", 1)


async def test_a_live_webhook_goes_to_the_address_that_was_checked(desk: Desk) -> None:
    """Else a name could answer with a public address first and a private one a moment later."""
    first, second = await desk.write("agreement.amended", "agreement.paused")
    await desk.change_endpoint(url="https://hooks.merchant.example:8443/hook?a=1", livemode=True)
    seen: list[httpx.Request] = []
    addresses = [["93.184.215.14"], ["10.0.0.7"], ["93.184.215.14", "10.0.0.7"]]

    async def resolve(name: str) -> list[str]:
        assert name == "hooks.merchant.example"
        return addresses.pop(0)

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))

    deliveries = desk.deliveries(transport=httpx.MockTransport(take), resolve=resolve)
    assert await desk.attempt(first, deliveries) == "delivered"
    (request,) = seen
    assert str(request.url) == "https://93.184.215.14:8443/hook?a=1"
    assert request.headers["host"] == "hooks.merchant.example:8443"
    assert request.extensions["sni_hostname"] == "hooks.merchant.example"
    for _ in range(2):
        assert isinstance(await desk.attempt(second, deliveries), ApplicationError)
        assert (await desk.row(second)).last_error == "the address is private"
    assert len(seen) == 1


async def test_the_name_stays_the_merchant_s_on_the_wire(desk: Desk, tmp_path: Path) -> None:
    """TLS to the looked-up address: the certificate must be the name's, and an address nobody listens at is passed
    over.
    """
    name = "hooks.merchant.example"
    serving, trusting = contexts(name, tmp_path)
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def resolve(_: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async def error_of(asked: str) -> str | None:
        (delivery,) = await desk.write("agreement.amended")
        await desk.change_endpoint(url=f"https://{asked}:{port}/hooks")
        transport = httpx.AsyncHTTPTransport(verify=trusting)
        await desk.attempt(delivery, desk.deliveries(transport=transport, resolve=resolve))
        return (await desk.row(delivery)).last_error

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await error_of(name) is None
        assert "CERTIFICATE_VERIFY_FAILED" in str(await error_of("other.example"))
    assert len(heads) == 1
    assert f"host: {name}:{port}" in heads[0].decode().lower()


def contexts(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's with a certificate for `name`, and a client's that trusts its maker."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "server.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain) + pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("::ffff:93.184.215.14", True),
        ("0.1.2.3", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("64:ff9b::10.0.0.1", False),
        ("2002:a00:1::", False),
        ("::ffff:169.254.169.254", False),
    ],
)
def test_an_address_is_public_only_if_what_it_wraps_is(address: str, public: bool) -> None:
    assert is_public(address) is public
