"""Reading a rulebook's folder, once, and refusing it with file, line and reason where anything in it is wrong.

A folder holds `manifest.toml`, `declines/<gateway>.toml`, and any other TOML files, whose tables say by their name what
kind of rule they are. `[defaults]` of a file stands for what its tables leave out.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from agreements import policies
from agreements.declines import DeclineCategory
from agreements.rulebook.lookups import Rulebook
from agreements.rulebook.model import (
    ANY,
    Bound,
    Budget,
    DeclineRule,
    HardDecline,
    NetworkRule,
    NoticeDuty,
    PayDays,
    PolicyRule,
    Rail,
    Rule,
)
from agreements.rulebook.positions import Lines

MANIFEST = "manifest.toml"
_KINDS: Mapping[str, type[Rule]] = {
    "rule": NetworkRule,
    "budget": Budget,
    "rail": Rail,
    "notice": NoticeDuty,
    "paydays": PayDays,
    "policy": PolicyRule,
    "bound": Bound,
    "hard": HardDecline,
}
_DECLINE_KINDS: Mapping[str, type[Rule]] = {"decline": DeclineRule}
_AT_LINE = re.compile(r" \(at line ([0-9]+), column [0-9]+\)$")


class Flaw(NamedTuple):
    """One thing wrong with a folder."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class RulebookError(Exception):
    """A folder that is no rulebook. The message has a line `file:line: reason` for each of its `flaws`."""

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        super().__init__("\n".join(map(str, flaws)))
        self.flaws = flaws


@dataclass(frozen=True)
class _Found:
    """A rule and where it stands."""

    rule: Rule
    file: str
    line: int

    @property
    def gateway(self) -> str:
        return Path(self.file).stem


def load(folder: Path | None = None) -> Rulebook:
    """The rulebook in a folder, the shipped one by default, read once per process. Raises RulebookError."""
    return _load(None if folder is None else folder.resolve())


def shipped() -> Traversable:
    """The folder of the rulebook this release brings along."""
    return resources.files("agreements.rulebook") / "data"


@cache
def _load(folder: Path | None) -> Rulebook:
    contents = dict(_files(shipped() if folder is None else folder))
    flaws: list[Flaw] = []
    version = _version(contents, flaws)
    found: list[_Found] = []
    for name, raw in contents.items():
        if name != MANIFEST:
            found += _rules(name, raw, flaws)
    if not flaws:
        # Rules that are missing because they could not be read would be reported twice.
        flaws += [*_repeated(found), *_overlaps(found), *_references(found), *_gaps(found), *_breaches(found)]
    if flaws:
        raise RulebookError(tuple(sorted(flaws)))
    return _rulebook(version, found)


def _files(folder: Traversable, under: str = "") -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        raise RulebookError((Flaw(str(folder), 1, "there is no such folder"),))
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and not under and entry.name == "declines":
            yield from _files(entry, f"{entry.name}/")
        elif entry.name.endswith(".toml"):
            yield under + entry.name, entry.read_bytes()


def _version(contents: Mapping[str, bytes], flaws: list[Flaw]) -> str:
    """The manifest's dated version with a hash of all bytes: one version never names two rulebooks."""
    said: object = None
    if MANIFEST in contents:
        table = _parsed(MANIFEST, contents[MANIFEST], flaws)
        said = table.get("version")
        flaws += [Flaw(MANIFEST, 1, f"unknown field: {name}") for name in table if name != "version"]
    if not isinstance(said, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}\.[0-9]+", said):
        flaws.append(Flaw(MANIFEST, 1, 'version is missing or not like "2026-11.2"'))
    digest = hashlib.sha256()
    for name, raw in contents.items():
        digest.update(f"{name}\0{len(raw)}\0".encode() + raw)
    return f"{said}+{digest.hexdigest()[:8]}"


def _parsed(name: str, raw: bytes, flaws: list[Flaw]) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode())
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at else raw.count(b"\n") + 1
        flaws.append(Flaw(name, line, _AT_LINE.sub("", str(error))))
    except UnicodeDecodeError as error:
        flaws.append(Flaw(name, raw.count(b"\n", 0, error.start) + 1, "not UTF-8"))
    return {}


def _rules(name: str, raw: bytes, flaws: list[Flaw]) -> Iterator[_Found]:
    tables = _parsed(name, raw, flaws)
    lines = Lines(raw.decode(errors="replace"))
    kinds = _DECLINE_KINDS if name.startswith("declines/") else _KINDS
    defaults = tables.pop("defaults", {})
    if not isinstance(defaults, dict):
        flaws.append(Flaw(name, lines.of(("defaults",)), "defaults is a table: [defaults]"))
        return
    for kind, entries in tables.items():
        if kind not in kinds:
            flaws.append(Flaw(name, lines.of((kind, 0)), f"unknown table {kind}; here: {', '.join(kinds)}"))
        elif not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            flaws.append(Flaw(name, lines.of((kind,)), f"{kind} is a list of tables: [[{kind}]]"))
        else:
            for index, entry in enumerate(entries):
                try:
                    rule = kinds[kind].model_validate({**defaults, **entry})
                except ValidationError as error:
                    flaws += _flaws(error, name, lines, (kind, index))
                else:
                    yield _Found(rule, name, lines.of((kind, index)))


def _flaws(error: ValidationError, name: str, lines: Lines, table: tuple[str, int]) -> Iterator[Flaw]:
    for problem in error.errors():
        location = problem["loc"]
        path = (*table, *location)
        if location and (*table, location[0]) not in lines and ("defaults", location[0]) in lines:
            path = ("defaults", *location)
        what = ".".join(map(str, location))
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            what, reason = "", f"unknown field: {what}"
        yield Flaw(name, lines.of(path), f"{what}: {reason}" if what else reason)


def _repeated(found: list[_Found]) -> Iterator[Flaw]:
    seen: dict[str, _Found] = {}
    for one in found:
        windows = [window.id for window in one.rule.windows] if isinstance(one.rule, Rail) else []
        for name in (one.rule.id, *windows):
            first = seen.setdefault(name, one)
            if first is not one:
                yield Flaw(one.file, one.line, f"id {name} is already that of {first.file}:{first.line}")


def _overlaps(found: list[_Found]) -> Iterator[Flaw]:
    by_key: dict[Hashable, list[_Found]] = {}
    for one in found:
        scope = one.gateway if isinstance(one.rule, DeclineRule) else ""
        for key in dict.fromkeys(one.rule.keys()):
            for other in by_key.setdefault((type(one.rule), scope, key), []):
                if _meet(one.rule, other.rule):
                    where = f"{other.rule.id} ({other.file}:{other.line})"
                    yield Flaw(one.file, one.line, f"{one.rule.id} and {where} are both in force for {_said(key)}")
            by_key[type(one.rule), scope, key].append(one)


def _meet(one: Rule, other: Rule) -> bool:
    first, second = sorted((one, other), key=lambda rule: rule.from_)
    return first.until is None or second.from_ <= first.until


def _said(key: Hashable) -> str:
    return " ".join(str(part) for part in key if part is not None) if isinstance(key, tuple) else str(key)


def _references(found: list[_Found]) -> Iterator[Flaw]:
    ids = {one.rule.id for one in found}
    rails = {one.rule.rail for one in found if isinstance(one.rule, Rail)}
    for one in found:
        if isinstance(one.rule, HardDecline) and one.rule.because not in ids:
            yield Flaw(one.file, one.line, f"because: there is no rule {one.rule.because}")
        if isinstance(one.rule, NoticeDuty) and one.rule.rail and one.rule.rail not in rails:
            yield Flaw(one.file, one.line, f"rail: there is no rail {one.rule.rail}")


def _gaps(found: list[_Found]) -> Iterator[Flaw]:
    """What every rulebook must say, as otherwise a decision would be left without a rule."""
    declines = {one.file: one for one in found if isinstance(one.rule, DeclineRule)}
    for file in declines:
        rules = [one.rule for one in found if one.file == file and isinstance(one.rule, DeclineRule)]
        if not any(rule.call == "pay" and ANY in rule.codes for rule in rules):
            yield Flaw(file, 1, f'no rule for unlisted codes (codes = ["{ANY}"])')
    hard = {one.rule.category for one in found if isinstance(one.rule, HardDecline)}
    for category in sorted(set(DeclineCategory) - policies.WAITING_HELPS - hard):
        yield Flaw(MANIFEST, 1, f"no [[hard]] rule about {category}")
    if not any(isinstance(one.rule, PolicyRule) and one.rule.plan.name == "standard" for one in found):
        yield Flaw(MANIFEST, 1, "no [[policy]] named standard")
    if not any(isinstance(one.rule, PayDays) and one.rule.region is None for one in found):
        yield Flaw(MANIFEST, 1, "no [[paydays]] without a region")


def _breaches(found: list[_Found]) -> Iterator[Flaw]:
    """Named policies that could break a scheme's rule while both are in force."""
    for one in found:
        if isinstance(one.rule, PolicyRule):
            beside = [other.rule for other in found if _meet(one.rule, other.rule)]
            bounds = [rule for rule in beside if isinstance(rule, Bound)]
            budgets = [rule for rule in beside if isinstance(rule, Budget)]
            if refused := policies.breach(one.rule.plan, bounds, budgets):
                yield Flaw(one.file, one.line, f"plan{refused.pointer}: {refused.detail} ({refused.rule})")


def _rulebook(version: str, found: list[_Found]) -> Rulebook:
    rules = [one.rule for one in found]
    gateways = dict.fromkeys(one.gateway for one in found if isinstance(one.rule, DeclineRule))
    return Rulebook(
        version=version,
        declines={
            gateway: tuple(one.rule for one in found if isinstance(one.rule, DeclineRule) and one.gateway == gateway)
            for gateway in gateways
        },
        networks=tuple(rule for rule in rules if isinstance(rule, NetworkRule)),
        budget_rules=tuple(rule for rule in rules if isinstance(rule, Budget)),
        rails=tuple(rule for rule in rules if isinstance(rule, Rail)),
        notice_duties=tuple(rule for rule in rules if isinstance(rule, NoticeDuty)),
        pay_days=tuple(rule for rule in rules if isinstance(rule, PayDays)),
        policy_rules=tuple(rule for rule in rules if isinstance(rule, PolicyRule)),
        bound_rules=tuple(rule for rule in rules if isinstance(rule, Bound)),
        hard_declines=tuple(rule for rule in rules if isinstance(rule, HardDecline)),
    )
