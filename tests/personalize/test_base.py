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


@pytest.mark.parametrize(("name", "most_bytes"), [("streaming", 2_000_000), ("micro", 700_000)])
def test_the_shipped_bases_are_those_of_their_cards(name, most_bytes):
    card, network = base.card(name), base.load(name)
    assert network.name == card.network == name
    assert card.taught_by == {"streaming": None, "micro": "streaming"}[name]
    assert set(card.users) | set(card.validation_users) <= set(BASE_USERS)
    assert not set(card.users) & set(card.validation_users)
    assert "make_base" in card.command
    tested = [int(user) for name in card.zero_shot_cer_percent for user in re.findall(r"\d+", name)]
    assert tested
    for user in tested:
        forbid(user)
    assert base.path(name).stat().st_size < most_bytes


def test_a_network_that_ships_no_base_is_refused():
    with pytest.raises(BadInput, match="no base of a tds network"):
        base.load("tds")


def test_a_base_that_is_not_its_cards_is_refused(tmp_path, monkeypatch):
    weights = bytearray(base.path().read_bytes())
    weights[-1] ^= 1
    (tmp_path / "base_streaming.safetensors").write_bytes(weights)
    (tmp_path / "base_streaming.json").write_text(json.dumps(base.card().model_dump()))
    monkeypatch.setattr(base, "FOLDER", tmp_path)
    with pytest.raises(BadInput, match="not the base"):
        base.load()
