"""How the way to Temporal is secured: TLS, and who we are there."""

from __future__ import annotations

from pathlib import Path

from temporalio.service import TLSConfig


def tls(
    wanted: bool, server_ca: Path | None = None, client_cert: Path | None = None, client_key: Path | None = None
) -> TLSConfig | bool:
    """For `Client.connect`. A file given means TLS is wanted. Raises OSError for one that cannot be read."""
    files = (server_ca, client_cert, client_key)
    if not wanted and not any(files):
        return False
    ca, cert, key = (None if file is None else file.read_bytes() for file in files)
    return TLSConfig(server_root_ca_cert=ca, client_cert=cert, client_private_key=key)
