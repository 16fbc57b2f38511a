"""How commands end: at once if they have talked to Temporal, in one line where a server is away, well when told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from cryptography.fernet import Fernet
from temporalio.service import RPCError, RPCStatusCode

from cli import main
from tests.sandbox.support import free_port

COMMAND = """
import atexit, sys
import typer
from cli import main
{used}
atexit.register(lambda: print("taken apart"))

@main.app.command("end")
def end() -> None:
    print("done")
    raise typer.Exit(3)

sys.argv = ["autodebit", "end"]
main.main()
"""


@pytest.mark.parametrize(
    ("used", "printed"),
    [("import temporalio.bridge.temporal_sdk_bridge", ["done"]), ("", ["done", "taken apart"])],
)
def test_python_is_not_taken_apart_under_the_threads_of_temporals_client(used: str, printed: list[str]) -> None:
    ended = subprocess.run([sys.executable, "-c", COMMAND.format(used=used)], stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout.split("\n")[:-1]) == (3, printed)


NOWHERE = {
    "AUTODEBIT_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:9/autodebit",
    "AUTODEBIT_TEMPORAL_ADDRESS": "127.0.0.1:9",
    "AUTODEBIT_VAULT_KEYS": "kQZ1m5r0dF3lq3bXk9mT8uWv2yJ4nC6pEaHsGiRoLtU=",
    "AUTODEBIT_VAULT_HASH_KEY": "of this test",
    "AUTODEBIT_ENVIRONMENT": "dev",
}
"""The discard port, where nobody listens."""


@pytest.mark.parametrize(
    ("command", "given", "said"),
    [
        (["audit"], {}, "PostgreSQL cannot be reached: "),
        # With a deployment and no build: the command is no worker.
        (["deployments", "show"], {"AUTODEBIT_DEPLOYMENT": "autodebit"}, "Temporal does not answer: "),
    ],
)
def test_a_server_that_is_away_is_told_in_one_line(command: list[str], given: dict[str, str], said: str) -> None:
    """The code is not 1, by which `audit` says that something is wrong."""
    program = [sys.executable, "-m", "cli.main", *command]
    ended = subprocess.run(program, env=os.environ | NOWHERE | given, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (3, 1), ended.stderr
    assert ended.stderr.startswith(f"autodebit: {said}")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "PostgreSQL cannot be reached: TimeoutError"),
        (RPCError("deadline\nexceeded", RPCStatusCode.DEADLINE_EXCEEDED, b""), "Temporal does not answer: deadline"),
    ],
)
def test_what_is_away_is_named_however_little_its_error_says(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["autodebit", "fails"])
    main.app.command("fails")(fails)
    with pytest.raises(SystemExit) as ended:
        main._in_one_line()
    main.app.registered_commands.pop()
    assert (ended.value.code, capsys.readouterr().err) == (3, f"autodebit: {said}\n")


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), RuntimeError("a defect of ours")])
def test_what_says_nothing_of_a_server_is_not_taken_for_an_outage(error: Exception) -> None:
    assert main._away(error) is None


def test_to_be_told_to_stop_is_no_failure_of_the_codec_server() -> None:
    port = free_port()
    given = {
        "AUTODEBIT_PAYLOAD_KEYS": Fernet.generate_key().decode(),
        "AUTODEBIT_CODEC_SERVER_KEY": "an operator key of some length, at least 32",
        "AUTODEBIT_CODEC_SERVER_ORIGIN": "https://temporal.example",
    }
    program = [sys.executable, "-m", "cli.main", "codec", "serve", "--port", str(port)]
    with subprocess.Popen(program, env=os.environ | given, stderr=subprocess.DEVNULL) as server:
        _until_it_listens(port)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")
