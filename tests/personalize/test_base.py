import json
import re
from pathlib import Path

import pytest

from edge.errors import BadInput
from personalize import base
from personalize.base_users import BASE_USERS, forbid

ROOT = Path(__file__).resolve().parents[2]
NAMED = (1, 11, 12, 13)  # the demo's wearer, and those of the gate


def test_the_named_wearers_are_free_and_base_users_are_not():
    for user in NAMED:
        forbid(user)
    for user in BASE_USERS:
        with pytest.raises(BadInput, match=str(user)):
            forbid(user)


def test_no_figure_is_made_from_a_base_user():
    """Every number given to Wearer(...) in code that makes figures is one the base has never met."""
    makers = [*ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("qwrist/*.py"), *ROOT.glob("tests/**/*.py")]
    makers = [file for file in makers if file.name not in ("make_base.py", "test_base.py")]
    assert makers
    for file in makers:
        for number in re.findall(r"Wearer\((?:user=)?(\d+)", file.read_text(encoding="utf-8")):
            forbid(int(number))


def test_the_shipped_base_is_the_one_of_its_card():
    card, network = base.card(), base.load()
    assert network.name == card.network == "streaming"
    assert set(card.users) | set(card.validation_users) <= set(BASE_USERS)
    assert not set(card.users) & set(card.validation_users)
    assert "make_base" in card.command
    tested = [int(user) for name in card.zero_shot_cer_percent for user in re.findall(r"\d+", name)]
    assert tested
    for user in tested:
        forbid(user)
    assert base.path().stat().st_size < 2_000_000


def test_a_base_that_is_not_its_cards_is_refused(tmp_path, monkeypatch):
    weights = bytearray(base.path().read_bytes())
    weights[-1] ^= 1
    (tmp_path / "base_streaming.safetensors").write_bytes(weights)
    (tmp_path / "base_streaming.json").write_text(json.dumps(base.card().model_dump()))
    monkeypatch.setattr(base, "FOLDER", tmp_path)
    with pytest.raises(BadInput, match="not the base"):
        base.load()
