"""docs/rulebook.md shows what the rulebook takes."""

import json
import re
import tomllib
from datetime import date
from pathlib import Path

from agreements import rulebook
from agreements.policies import RetryPolicy, resolve
from agreements.rulebook import NetworkAction, loading

PAGE = (Path(__file__).parents[2] / "docs" / "rulebook.md").read_text(encoding="utf-8")
BOOK = rulebook.load()


def example(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_rule_shown_is_a_shipped_one() -> None:
    [shown] = tomllib.loads(example("toml"))["rule"]
    [shipped] = [rule for rule in BOOK.networks if rule.id == shown["id"]]
    said = shipped.model_dump(by_alias=True, exclude={"category"}, exclude_none=True)
    assert said == {**shown, "responses": tuple(shown["responses"]), "action": NetworkAction(shown["action"])}


def test_the_policy_shown_is_accepted() -> None:
    resolve(json.loads(example("json")), BOOK, date(2027, 1, 15))


def test_every_file_table_and_field_of_a_policy_is_told_of() -> None:
    folder = Path(str(loading.shipped()))
    for file in folder.glob("*.toml"):
        assert f"`{file.name}`" in PAGE
        for kind in tomllib.loads(file.read_text(encoding="utf-8")).keys() - {"defaults", "version"}:
            assert f"`{kind}`" in PAGE
    for field in RetryPolicy.model_fields.keys() - {"name"}:
        assert f"| `{field}` |" in PAGE
