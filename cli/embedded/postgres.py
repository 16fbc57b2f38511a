"""A real PostgreSQL from the wheel's binaries, kept in one folder, for one machine."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from cli.embedded.supervisor import Process, StartFailed, User
from cli.embedded.unprivileged import NoPlace, binaries, new_place, postgres_user, reachable
from cli.private_files import write_private

_ROLE = "autodebit"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # TCP only: socket paths have a length limit that deep data folders break
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Commits still reach the operating system: synchronous_commit=off would lose the last ones with kill -9.
# Statistics are taken in a transaction with a number, which keeps what is written meanwhile out of the feed of events:
# whoever reads their own write in a test would miss it now and then.
_THROWAWAY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


class Postgres:
    """The cluster in `<data>/postgres`; as root that may be a link to a place an unprivileged user can reach."""

    def __init__(self, data: Path, port: int, *, durable: bool = True) -> None:
        """`durable=False` is for tests, which last minutes: flushing is left to the operating system, safe against
        kill -9 and not a power cut, and nothing is vacuumed.
        """
        self._data = data.resolve()
        self._port = port
        self._durable = durable
        self._password_file = self._data / "postgres-password"

    @property
    def url(self) -> str:
        """The engine's database, as SQLAlchemy takes it."""
        password = self._password_file.read_text().strip()
        return f"postgresql+asyncpg://{_ROLE}:{password}@127.0.0.1:{self._port}/{_ROLE}"

    async def prepare(self) -> Process:
        """Creates the cluster at the first start and returns how to run it. Raises NoPlace, StartFailed."""
        place = self._place()
        user = postgres_user(place)
        cluster, programs = place / "cluster", binaries(user)
        settings = _SETTINGS | {"port": str(self._port)} | ({} if self._durable else _THROWAWAY)
        process = Process(
            name="postgres",
            argv=[str(programs / "postgres"), "-D", str(cluster)]
            + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
            ready=self._ready,
            log=self._data / "logs" / "postgres.log",
            env=_ENVIRONMENT,
            cwd=place,
            user=user,
            prepare=lambda: _clear_leftovers(cluster),
            stop_signal=signal.SIGINT,  # fast shutdown: sessions end, nothing is lost
            orphan_signal=signal.SIGQUIT,  # immediate: it takes its own children with it and recovers at the next start
        )
        if not cluster.exists():
            await self._create(place, programs / "initdb", user)
        if not self._password_file.exists():
            raise NoPlace(f"{cluster} exists but its password {self._password_file} is gone")
        return process

    async def ensure_database(self) -> None:
        """Creates the engine's database unless it is there."""
        admin = make_url(self.url).set(database="postgres")
        await create_database(admin.render_as_string(hide_password=False), _ROLE)

    def _place(self) -> Path:
        """The folder of the cluster, created empty at the first start."""
        place = self._data / "postgres"
        if place.exists():
            if not os.access(place, os.R_OK | os.X_OK):
                raise NoPlace(f"{place} belongs to another user: start as root, as at its first start")
            return place.resolve()
        if (user := postgres_user(place)) is None:
            place.mkdir(mode=0o700)
        elif reachable(place, user):
            place.mkdir(mode=0o700)
            os.chown(place, user.uid, user.gid)
        else:
            place.unlink(missing_ok=True)  # a link whose target is gone
            place.symlink_to(new_place(self._data, user))
        return place.resolve()

    async def _create(self, place: Path, initdb: Path, user: User | None) -> None:
        """Runs initdb beside the final place, so that a start that was killed half way leaves no half cluster."""
        unfinished, given = place / "cluster.new", place / "password.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        write_private(self._password_file, password)
        write_private(given, password)
        if user is not None:
            os.chown(given, user.uid, user.gid)
        creating = await asyncio.create_subprocess_exec(
            str(initdb),
            *("-D", str(unfinished), "-U", _ROLE, "-A", "scram-sha-256", f"--pwfile={given}", "--no-instructions"),
            *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
            env=_ENVIRONMENT,
            cwd=place,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
        output, _ = await creating.communicate()
        given.unlink()
        if creating.returncode != 0:
            raise StartFailed(f"initdb ended with code {creating.returncode}:\n{output.decode(errors='replace')}")
        unfinished.rename(place / "cluster")

    async def _ready(self) -> bool:
        address = make_url(self.url).set(drivername="postgresql", database="postgres")
        try:
            connection = await asyncpg.connect(address.render_as_string(hide_password=False), ssl=False, timeout=2.0)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True


async def create_database(url: str, name: str, *, template: str = "template1") -> str:
    """Creates a database beside the one of `url` unless it is there; returns its address.

    With `template` (which nobody may be connected to) the new one starts as its copy, for instance already migrated.
    """
    given = make_url(url)
    address = given.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address, ssl=False)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()
    return given.set(database=name).render_as_string(hide_password=False)


async def _clear_leftovers(cluster: Path) -> None:
    """Waits for the processes of a killed server and removes its lock file.

    PostgreSQL refuses to start beside a living backend of its predecessor, and beside a lock file whose process id
    was taken by another program. Nobody else runs this cluster: `dev` holds a lock on the data folder.
    """
    if not Path("/proc/self/cwd").exists():
        return  # no way to see them (macOS): PostgreSQL refuses until they are gone and is started again
    patience = time.monotonic() + 5.0
    while leftovers := _processes_in(cluster):
        for pid in leftovers:
            try:
                os.kill(pid, signal.SIGQUIT if time.monotonic() < patience else signal.SIGKILL)
            except ProcessLookupError:
                continue
        await asyncio.sleep(0.05)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _processes_in(folder: Path) -> list[int]:
    """Processes whose working directory is the folder, as that of every PostgreSQL process is its cluster."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            continue  # gone meanwhile, or not ours
    return found
