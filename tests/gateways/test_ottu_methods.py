"""Which gateways of an account can debit saved cards, asked of the sandbox over HTTP."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateways.ottu.methods import Unanswered, auto_debit
from gateways.port import Call
from sandbox.ottu.mids import MIDS
from tests.gateways.ottu_fixtures import account
from tests.sandbox.ottu_support import an_ottu


async def test_only_gateways_that_save_cards_and_debit_them_are_listed(tmp_path: Path) -> None:
    async with an_ottu(tmp_path) as ottu, httpx.AsyncClient(trust_env=False) as client:
        ours = account(sandbox=True, base_url=ottu.base_url)
        found = await auto_debit(client, ours, Call(timedelta(seconds=30)))
    listed = {method.code: method for method in found}
    assert set(listed) == {code for code, mid in MIDS.items() if mid.tokenizable and mid.auto_debit}
    assert "knet-kwd" not in listed
    assert listed["mpgs-kwd"].currencies == ("KWD", "SAR", "BHD")


async def test_without_an_answer_nothing_is_claimed() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        nobody = account(base_url="http://127.0.0.1:9")
        with pytest.raises(Unanswered, match="not_connected"):
            await auto_debit(client, nobody, Call(timedelta(seconds=30)))
