"""Webhooks stay out of our own network, whatever a merchant's name servers say, and go to whom they are meant for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.exceptions import ApplicationError

from activities.deliveries import Deliveries
from tests.promises.webhook_desk import Desk, a_desk
from tests.sandbox.support import until
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


class Network(httpcore.AsyncNetworkBackend):
    """Answers instead of the internet: every connection says yes as often as it is asked, and then closes."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.dialled: list[tuple[str, int]] = []
        self.named: list[str | None] = []
        """What TLS was told to be the other side's name."""
        self.sent = b""

    async def connect_tcp(self, host: str, port: int, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        return Wire(self)


class Wire(httpcore.AsyncMockStream):
    def __init__(self, network: Network) -> None:
        last = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
        super().__init__([b"HTTP/1.1 204 No Content\r\n\r\n"] * (network.answers - 1) + [last])
        self._network = network

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._network.sent += buffer

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Wire:
        self._network.named.append(server_hostname)
        return self


async def test_a_live_webhook_goes_to_the_address_that_was_checked(desk: Desk) -> None:
    """Else a name could answer with a public address first and a private one a moment later. A connection that is kept
    leads to where it led before; whoever connects anew, checks anew.
    """
    first, second, third = await desk.write("agreement.amended", "agreement.paused", "agreement.resumed")
    await desk.change_endpoint(url="https://hooks.merchant.example:8443/hook?a=1", livemode=True)
    network = Network(answers=2)
    addresses = [["93.184.215.14"], ["10.0.0.7"], ["93.184.215.14", "10.0.0.7"]]

    async def resolve(name: str) -> list[str]:
        assert name == "hooks.merchant.example"
        return addresses.pop(0)

    deliveries = desk.deliveries(network=network, resolve=resolve)
    assert [await desk.attempt(one, deliveries) for one in (first, second)] == ["delivered", "delivered"]
    assert len(addresses) == 2, "the name was looked up once, for one connection"
    assert network.named == ["hooks.merchant.example"]
    assert network.sent.count(b"POST /hook?a=1 HTTP/1.1\r\nhost: hooks.merchant.example:8443\r\n") == 2
    for _ in range(2):
        assert isinstance(await desk.attempt(third, deliveries), ApplicationError)
        assert (await desk.row(third)).last_error == "the address is private"
    assert network.dialled == [("93.184.215.14", 8443)]


async def test_a_connection_made_in_test_mode_takes_no_live_webhook(desk: Desk) -> None:
    first, second = await desk.write("agreement.amended", "agreement.paused")
    deliveries = desk.deliveries()
    assert await desk.attempt(first, deliveries) == "delivered"
    await desk.change_endpoint(livemode=True)
    assert isinstance(await desk.attempt(second, deliveries), ApplicationError)
    assert (await desk.row(second)).last_error == "the address is private"


@dataclass
class Server:
    """A receiver behind TLS that closes its first connections after so many answers, without a word."""

    patience: list[int]
    asked: bool = False
    """It closes when it is asked once more, else while nobody asks."""
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the test when nobody asks."""
    connections: int = 0
    closed: int = 0
    heads: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        left = self.patience.pop(0) if self.patience else 100
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while left or self.asked:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
                self.heads.append(head)
                if not left:
                    break
                left -= 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
            if not self.asked:
                await self.quiet.wait()
        writer.close()
        self.closed += 1


NAME = "hooks.merchant.example"


@asynccontextmanager
async def a_server(server: Server, desk: Desk, folder: Path) -> AsyncIterator[Deliveries]:
    """Its endpoint is the desk's; deliveries that trust it, and pass over an address at which nobody listens."""
    serving, trusting = contexts(NAME, folder)

    async def resolve(_: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=serving) as listening:
        port = listening.sockets[0].getsockname()[1]
        await desk.change_endpoint(url=f"https://{NAME}:{port}/hooks")
        deliveries = desk.deliveries(trust=trusting, resolve=resolve)
        yield deliveries
        await desk.stack.aclose()  # the server waits for its connections


async def test_the_name_stays_the_merchant_s_on_the_wire_and_the_connection_is_kept(desk: Desk, tmp_path: Path) -> None:
    server = Server(patience=[])
    async with a_server(server, desk, tmp_path) as deliveries:
        for delivery in await desk.write(*["agreement.amended"] * 3):
            assert await desk.attempt(delivery, deliveries) == "delivered"
        assert server.connections == 1
        assert [head.count(f"\r\nhost: {NAME}:") for head in server.heads] == [1, 1, 1]

        (delivery,) = await desk.write("agreement.amended")
        await desk.change_endpoint(url=(await desk.read_endpoint()).url.replace(NAME, "other.example"))
        await desk.attempt(delivery, deliveries)
        assert "CERTIFICATE_VERIFY_FAILED" in str((await desk.row(delivery)).last_error)
        assert len(server.heads) == 3


@pytest.mark.parametrize(("asked", "requests"), [(False, 2), (True, 3)])
async def test_a_kept_connection_that_breaks_is_no_failed_attempt(
    desk: Desk, tmp_path: Path, asked: bool, requests: int
) -> None:
    """Closed while nobody used it, it is replaced before anything is sent; closed at the next request, that request is
    sent once more. A new connection that breaks is the receiver's failure, and is not tried again at once.
    """
    first, second, third = await desk.write(*["agreement.amended"] * 3)
    server = Server(patience=[1, 1, 0], asked=asked)
    async with a_server(server, desk, tmp_path) as deliveries:
        assert await desk.attempt(first, deliveries) == "delivered"
        server.quiet.set()
        await until(lambda: server.closed or asked)
        await asyncio.sleep(0.05)  # time for the news to arrive
        assert await desk.attempt(second, deliveries) == "delivered"
        assert (server.connections, len(server.heads)) == (2, requests)
        assert (await desk.row(second)).attempts == 1
        result = await desk.attempt(third, deliveries)
        assert isinstance(result, ApplicationError)
        assert result.type == "delivery_failed"
        assert server.connections == 3


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
