"""`autodebit codec`: the keys of what Temporal stores, and reading it."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The keys of what Temporal stores, and reading it.", no_args_is_help=True)


@app.command("new-key")
def new_key() -> None:
    """Print a fresh key for AUTODEBIT_PAYLOAD_KEYS (docs/encryption.md tells how keys are changed)."""
    import base64
    import secrets

    typer.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8234,
) -> None:
    """Open payloads for Temporal's Web UI and CLI, behind AUTODEBIT_CODEC_SERVER_KEY."""
    import os

    import uvicorn
    import uvloop

    import logs
    from api.server import Server
    from cli.codec_server import CodecServerSettings, create_app

    app = create_app(CodecServerSettings())
    logs.set_up(os.environ.get("AUTODEBIT_ENVIRONMENT", "production"))
    config = uvicorn.Config(app, host, port, access_log=False, log_config=None, server_header=False)
    uvloop.run(Server(config).serve())
