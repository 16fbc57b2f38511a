"""A Temporal server that is reached by TLS only, and only by who shows a certificate: as in Temporal Cloud."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from settings import Settings
from tests.support.house import House
from workflows.client import connect
from workflows.secured import tls


def write_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself at 127.0.0.1, and its key."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return cert_file, key_file


@asynccontextmanager
async def behind_tls(address: str, server: tuple[Path, Path], client: Path) -> AsyncIterator[str]:
    """What is said to the address yielded goes to the other one, in clear; only `client` may speak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    context.load_verify_locations(client)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")

    async def pipe(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while part := await source.read(65536):
                to.write(part)
                await to.drain()
        to.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, to_server), pipe(from_server, writer))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()


async def test_a_certificate_of_ours_opens_a_server_that_asks_for_one(house: House, tmp_path: Path) -> None:
    server, (cert, key) = write_certificate(tmp_path, "server"), write_certificate(tmp_path, "client")
    async with behind_tls(house.settings.temporal_address, server, cert) as address:
        plain = house.settings.model_copy(update={"temporal_address": address})
        with pytest.raises(RuntimeError):
            await connect(plain)
        files = {"temporal_server_ca": server[0], "temporal_client_cert": cert, "temporal_client_key": key}
        assert await (await connect(plain.model_copy(update=files))).service_client.check_health()


def test_without_a_wish_for_tls_there_is_none() -> None:
    assert tls(False) is False
    assert tls(True)


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="together"):
        Settings(
            database_url="postgresql+asyncpg://h/d",
            temporal_address="h:1",
            vault_keys=(),
            vault_hash_key="h",
            temporal_client_cert=Path("cert.pem"),
        )
