"""What the demo remembers between two starts."""

import stat
from pathlib import Path

import pytest

from bridge.demo.errors import ForeignData
from bridge.demo.state import KEYS_FILE, REFUSALS_FILE, State


def test_program_key__when_started_again__then_is_the_same_and_private(tmp_path: Path) -> None:
    assert State(tmp_path).program_key("prg_1", lambda: "first") == "first"

    assert State(tmp_path).program_key("prg_1", lambda: "second") == "first"
    assert State(tmp_path).program_key("prg_2", lambda: "other") == "other"
    assert stat.S_IMODE((tmp_path / KEYS_FILE).stat().st_mode) == 0o600


def test_refusals__when_started_again__then_are_remembered_for_their_program(tmp_path: Path) -> None:
    State(tmp_path).remember_refused("prg_1", "coupon-1")

    again = State(tmp_path)
    assert again.was_refused("prg_1", "coupon-1")
    assert not again.was_refused("prg_2", "coupon-1")


def test_refusals__when_the_last_line_was_cut_off__then_it_does_not_count(tmp_path: Path) -> None:
    (tmp_path / REFUSALS_FILE).write_text("prg_1 coupon-1\nprg_1 coupon-22")

    state = State(tmp_path)

    assert state.was_refused("prg_1", "coupon-1")
    assert not state.was_refused("prg_1", "coupon-22")


def test_keys__when_the_file_is_not_json__then_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / KEYS_FILE).write_text("{")

    with pytest.raises(ForeignData, match="--reset"):
        State(tmp_path)
