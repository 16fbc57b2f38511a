"""The rulebook: what declines mean, what networks and rails allow, as dated, sourced data (docs/rulebook.md).

Nothing here needs code to change when a scheme changes a figure: the TOML files under `data/` do.
"""

from __future__ import annotations

from pathlib import Path

from agreements.rulebook.loading import Flaw as Flaw
from agreements.rulebook.loading import RulebookError as RulebookError
from agreements.rulebook.loading import load as load
from agreements.rulebook.lookups import Meaning as Meaning
from agreements.rulebook.lookups import Rulebook as Rulebook
from agreements.rulebook.model import Budget as Budget
from agreements.rulebook.model import NetworkAction as NetworkAction
from agreements.rulebook.model import NetworkRule as NetworkRule
from agreements.rulebook.model import NoticeDuty as NoticeDuty
from agreements.rulebook.model import Rail as Rail

_chosen: list[Path | None] = [None]


def use(folder: Path | None) -> Rulebook:
    """Chooses this process's rulebook, at its start: a folder, or None for the shipped one. Raises RulebookError."""
    rulebook = load(folder)
    _chosen[0] = folder
    return rulebook


def current() -> Rulebook:
    """The rulebook this process goes by."""
    return load(_chosen[0])
