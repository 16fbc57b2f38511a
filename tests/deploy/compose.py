"""docker-compose.yml as Docker Compose understands it: variables filled in from an environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
ENGINE = "autodebit:"
"""How the images of our own processes begin."""

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<operator>[-?])(?P<word>[^}]*))?\}")

Json = dict[str, Any]


class Missing(Exception):
    """A variable without which nothing starts."""


@cache
def text() -> str:
    return FILE.read_text()


def required() -> set[str]:
    """The variables that stand without a default."""
    return {found["name"] for found in _VARIABLE.finditer(text()) if found["operator"] != "-"}


def defaults() -> dict[str, str]:
    """The others, with theirs."""
    return {found["name"]: found["word"] for found in _VARIABLE.finditer(text()) if found["operator"] == "-"}


def read(environment: Mapping[str, str]) -> Json:
    """The whole file. Raises Missing, naming the variable."""

    def fill(found: re.Match[str]) -> str:
        value = environment.get(found["name"], "")
        if not value and found["operator"] != "-":
            raise Missing(found["name"])
        return value or found["word"]

    filled: Json = yaml.safe_load(_VARIABLE.sub(fill, text()))
    return filled


def services(environment: Mapping[str, str]) -> dict[str, Json]:
    found: dict[str, Json] = read(environment)["services"]
    return found


def ours(environment: Mapping[str, str]) -> dict[str, Json]:
    """The services that run our own image."""
    return {name: each for name, each in services(environment).items() if each["image"].startswith(ENGINE)}
