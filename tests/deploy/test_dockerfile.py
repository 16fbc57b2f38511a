"""The Dockerfile: everything of the engine and nothing else, run by nobody in particular."""

from __future__ import annotations

import re
import tomllib

from tests.deploy import image
from tests.deploy.compose import ROOT

BUILD, FINAL = image.stages()


def test_every_package_and_module_of_the_engine_is_copied() -> None:
    wanted = set(image.project()["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    assert set(image.copied(BUILD)) == wanted | {"pyproject.toml", "uv.lock", "README.md"}
    assert all((ROOT / source).exists() for source in image.copied(BUILD))
    assert [value.startswith("--from=build") for name, value in FINAL if name == "COPY"] == [True]


def test_docker_is_sent_what_is_copied_and_nothing_else() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(image.copied(BUILD))


def test_the_process_is_not_root_and_the_last_stage_installs_nothing() -> None:
    (user,) = [value for name, value in FINAL if name == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert [
        value for name, value in FINAL if name == "RUN" and re.search(r"\b(pip|uv|apt-get|curl|wget)\b", value)
    ] == []


def test_what_is_installed_is_what_is_locked() -> None:
    installs = [value for name, value in BUILD if name == "RUN"]
    locked = {
        package["name"]: package["version"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    }
    assert installs[0] == f"pip install uv=={locked['uv']}"
    assert all({"--frozen", "--no-default-groups"} <= set(each.split()) for each in installs[1:])
    assert (ROOT / "Dockerfile").read_text().count("ARG BASE=python:3.11-slim-bookworm") == 1
