"""TCP ports on 127.0.0.1 that are free now and stay ours while a killed process comes back."""

from __future__ import annotations

import itertools
import json
import os
import random
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

# Below the kernel's ephemeral range (Linux 32768, macOS and Windows 49152): no outgoing connection can take the port of
# a server while it is being restarted.
_RANGE = range(20_000, 32_768)

# A port is free until somebody listens on it, and others look for one meanwhile. A process gives none away twice before
# it has given each away, and those that start side by side, whose ids lie close together, choose among different ones.
_SHARES = 16
_TRIES = 200


def _in_turn() -> Iterator[int]:
    share = _RANGE[os.getpid() % _SHARES :: _SHARES]
    return itertools.cycle(random.sample(share, len(share)))


_next = _in_turn()


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now; connections in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(taken: Collection[int] = ()) -> int:
    """A free port outside `taken`; raises OSError when none was found."""
    for port in itertools.islice(_next, _TRIES):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port found on 127.0.0.1")


def choose_ports(
    memory: Path, names: Iterable[str], fixed: Mapping[str, int] | None = None, usual: Mapping[str, int] | None = None
) -> dict[str, int]:
    """A distinct port per name, written to `memory` for the next start.

    A `fixed` port is taken as it is. Otherwise, while free: the port of the last start (addresses handed out then keep
    working), the `usual` one, any. Raises OSError when a fixed port is in use.
    """
    fixed, usual = fixed or {}, usual or {}
    remembered: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    for port in fixed.values():
        if not is_free(port):
            raise OSError(f"port {port} is in use by another program")
    chosen = dict(fixed)
    for name in names:
        if name in chosen:
            continue
        wanted = [ports[name] for ports in (remembered, usual) if name in ports]
        taken = chosen.values()
        chosen[name] = next((port for port in wanted if port not in taken and is_free(port)), 0) or free_port(taken)
    memory.write_text(json.dumps(remembered | chosen, indent=1))
    return chosen
