"""The Dockerfile followed without Docker: what its first stage copies and installs, on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from dockerfile_parse import DockerfileParser

from tests.deploy.compose import ROOT

UV = Path(sysconfig.get_path("scripts")) / "uv"
_LEFT_OUT = shutil.ignore_patterns("__pycache__")


class Instruction(NamedTuple):
    name: str
    value: str


@cache
def stages() -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first."""
    parsed = DockerfileParser(fileobj=StringIO((ROOT / "Dockerfile").read_text()))
    found: list[list[Instruction]] = []
    for line in parsed.structure:
        if line["instruction"] == "FROM":
            found.append([])
        if found and line["instruction"] != "COMMENT":
            found[-1].append(Instruction(line["instruction"], line["value"]))
    return found


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def copied(stage: list[Instruction]) -> list[str]:
    """What a stage takes from the project."""
    words = [shlex.split(value) for name, value in stage if name == "COPY" and "--from" not in value]
    return [source for *sources, _ in words for source in sources]


def build(folder: Path) -> Path:
    """Copies and installs as the first stage does; where the programs are. Compiles nothing, to save time."""
    context, installed = folder / "build", folder / "installed"
    context.mkdir()
    for name, value in stages()[0]:
        words = shlex.split(value)
        if name == "COPY":
            for source in words[:-1]:
                _copy(ROOT / source, context / source)
        elif name == "RUN" and words[:2] == ["uv", "sync"]:
            options = [word for word in words[2:] if word != "--compile-bytecode"]
            _run([str(UV), "sync", "--python", sys.executable, "--quiet", *options], context, installed)
    return installed / "bin"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_LEFT_OUT)
    else:
        shutil.copy(source, target)


def _run(command: list[str], context: Path, installed: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment |= {"UV_PROJECT_ENVIRONMENT": str(installed), "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, cwd=context, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
