"""Difficulty is pinned here, by a linear probe: these figures are not to be loosened for a network."""

from dataclasses import replace
from statistics import mean

import pytest

from simulate.probe import PROBE_S, probe
from simulate.wearer import Wearer

USERS = range(10)


def read(user, difficulty, duration_s=PROBE_S):
    wearer = Wearer(user, difficulty)
    return probe(wearer.perform(0, duration_s=duration_s), wearer.perform(1, duration_s=duration_s))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_presets_are_as_hard_as_they_say():
    results = {name: [read(user, name) for user in USERS] for name in ("medium", "mid", "hard")}
    accuracy = {name: mean(result.accuracy for result in found) for name, found in results.items()}
    assert accuracy["medium"] == pytest.approx(0.75, abs=0.05)
    assert accuracy["hard"] == pytest.approx(0.30, abs=0.05)
    assert accuracy["hard"] + 0.1 < accuracy["mid"] < accuracy["medium"] - 0.1
    majority = mean(result.majority for result in results["medium"])
    assert majority == pytest.approx(0.14, abs=0.01)


def test_presets_are_in_order():
    medium, hard = (mean(read(user, name, 90).accuracy for user in (0, 3)) for name in ("medium", "hard"))
    assert 0.5 < medium < 0.8
    assert 0.14 < hard < medium - 0.2


def test_the_probe_reads_nothing_where_keys_and_signal_have_nothing_to_do_with_each_other():
    wearer = Wearer(0)
    known, asked = (wearer.perform(session, duration_s=60) for session in (0, 1))
    others = wearer.perform(2, duration_s=60)
    result = probe(known, replace(asked, emg_uv=others.emg_uv))
    assert result.accuracy < result.majority + 0.05
    assert result.presses > 100
