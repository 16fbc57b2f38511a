"""What others have written, on an operator's terminal: shown, and nothing else."""

from __future__ import annotations

import pytest

from cli import tables

FORGED = "moved\x1b[2K\x1b]0;title\x07 [/red] [bold]away\x9b1m\r\nnext"


def test_nothing_others_write_moves_the_terminal_or_is_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    tables.plain(("who", "why"), [("key_1", FORGED)])
    tables.refunds(
        {
            "refunds": [
                {
                    "id": "rfd_1",
                    "status": "pending",
                    "amount": {"currency": "PHP", "value": 100},
                    "origin": "merchant",
                    "reason": FORGED,
                }
            ]
        }
    )
    shown = capsys.readouterr().out
    assert {character for character in shown if not character.isprintable()} <= {"\n", "\N{NO-BREAK SPACE}"}
    assert shown.count("moved�[2K�]0;title� [/red] [bold]away�1m� next") == 2


def test_lines_stay_lines_where_a_whole_message_is_shown() -> None:
    assert tables.visible('{"a": 1,\n\t"b": "\x1b[31m\u0634"}') == '{"a": 1,\n\t"b": "�[31m\u0634"}'
