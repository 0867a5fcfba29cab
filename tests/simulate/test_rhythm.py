"""Typing by real people's statistics: what is generated has them, and the text is nearly the prompts'."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from edge.charset import BACKSPACE, ENTER, SHIFT, SPACE
from edge.prompts import prompt_deck
from edge.samples import SIDES, KeyPress
from simulate.keyboard import SHIFT_RIGHT, Pair, pair_of
from simulate.rhythm import Rhythm
from simulate.seeds import stream
from simulate.typing_statistics import shipped
from simulate.typist import Typist
from simulate.wearer import Wearer

STATISTICS = shipped()
USERS = range(24)


def typist(user):
    return Typist.of(Rhythm.draw(STATISTICS, stream("habits", user)), SIDES)


def text_of(keys):
    text = []
    for key in keys:
        if key == BACKSPACE:
            del text[-1:]
        elif key not in (SHIFT, SHIFT_RIGHT):
            text.append({SPACE: " ", ENTER: "\n"}.get(key, key))
    return "".join(text)


@pytest.fixture(scope="module")
def logs():
    """A typist, what was typed and what the keyboard said, of each user."""
    found = []
    for user in USERS:
        someone = typist(user)
        typed = someone.type(prompt_deck(user), stream("typing", user), 300.0)
        found.append((someone, typed, someone.manner.logged(typed.keys, stream("poll", user))))
    return found


@pytest.mark.parametrize("pair", sorted(set(Pair) - {Pair.FROM_ENTER}))
def test_generated_intervals_and_holds_have_the_shipped_quantiles(logs, pair):
    intervals, holds = [], []
    for someone, typed, _ in logs:
        manner = someone.manner
        for a, b in pairwise(typed.keys):
            if pair_of(someone.places, a.key, b.key) is pair and a.key not in (SHIFT, SHIFT_RIGHT):
                intervals.append(np.log((b.press_s - a.press_s) / manner.interval_s) / manner.interval_spread)
                holds.append(np.log((a.release_s - a.press_s) / manner.hold_s) / manner.hold_spread)
    timing = STATISTICS.timings[pair]
    assert len(intervals) > 100
    for level in (0.25, 0.5, 0.75):
        expected = np.interp(level, STATISTICS.levels, timing.interval)
        # five standard errors of a share
        assert np.mean(intervals <= expected) == pytest.approx(level, abs=2.5 / np.sqrt(len(intervals)))
        if pair not in (Pair.REPEAT, Pair.BACKSPACES):  # there the key must be up before it goes down again
            expected = np.interp(level, STATISTICS.levels, timing.hold)
            assert np.mean(holds <= expected) == pytest.approx(level, abs=0.02 + 2.5 / np.sqrt(len(holds)))


def test_rates_overlaps_and_corrections_are_those_of_real_people(logs):
    # Over the 33 people of the logs: 149 to 448 keys a minute, mean 265 over sessions; overlap 0.06 to 0.54,
    # mean 0.22; backspaces 0.016 to 0.115, mean 0.044.
    rates = [60 * len(keys) / (keys[-1].press_s - keys[0].press_s) for _, _, keys in logs]
    overlaps = [np.mean([a.release_s > b.press_s for a, b in pairwise(keys)]) for _, _, keys in logs]
    erased = [np.mean([key.key == BACKSPACE for key in keys]) for _, _, keys in logs]
    assert min(rates) > 120 and max(rates) < 480 and 235 < np.mean(rates) < 295
    assert min(overlaps) > 0.03 and max(overlaps) < 0.6 and 0.17 < np.mean(overlaps) < 0.27
    assert min(erased) > 0.005 and max(erased) < 0.14 and 0.03 < np.mean(erased) < 0.06


def test_typed_text_is_nearly_the_prompts(logs):
    wrong = [
        Levenshtein.normalized_distance(
            text_of(key.key for key in keys), "".join(f"{prompt.text}\n" for prompt in typed.prompts)
        )
        for _, typed, keys in logs
    ]
    assert 0.001 < np.mean(wrong) < 0.01


def test_a_key_is_up_before_it_goes_down_again(logs):
    for _, typed, _ in logs:
        last_up_s = defaultdict(float)
        for key in typed.keys:
            assert last_up_s[key.key] < key.press_s < key.release_s or key.key in (SHIFT, SHIFT_RIGHT)
            last_up_s[key.key] = key.release_s


@given(
    user=st.integers(0, 2**31),
    presses_s=st.lists(st.floats(0, 60), min_size=1, max_size=20),
    hold_s=st.floats(0.001, 0.5),
)
def test_a_polled_keyboard_reports_late_by_less_than_two_polls_and_in_order(user, presses_s, hold_s):
    manner = typist(user).manner
    keys = [KeyPress("a", s, s + hold_s) for s in sorted(presses_s)]
    logged = manner.logged(keys, np.random.default_rng(user))
    assert all(a.press_s <= b.press_s for a, b in pairwise(logged))
    for key, said in zip(keys, logged, strict=True):
        assert 0 <= said.press_s - key.press_s <= manner.poll_s + 0.001
        assert 0 <= said.release_s - key.release_s <= 2 * manner.poll_s + 0.001
        assert said.release_s > said.press_s


def test_most_keyboards_report_on_the_grid(logs):
    shares = []
    for _, _, keys in logs:
        steps = np.diff([key.press_s for key in keys]) / STATISTICS.poll_s
        shares.append(np.mean(np.abs(steps - np.round(steps)) * STATISTICS.poll_s < 0.001))
    assert np.mean(np.array(shares) > 0.95) == pytest.approx(STATISTICS.polled, abs=0.15)
    assert min(shares) < 0.3  # some are not polled


def test_a_shifted_character_is_never_typed_before_a_slip_is_seen():
    manner = typist(0).manner
    rng = np.random.default_rng(0)
    assert {len(manner.before_notice(list("ab Cd"), rng)) for _ in range(300)} == {0, 1, 2, 3}
    assert not manner.before_notice([], rng)


def test_the_calibrated_wearer_types_so_and_no_other_does():
    assert typist(4).manner.poll_s
    keys = Wearer(4, "calibrated").perform(0, duration_s=20).keys
    assert keys != Wearer(4, "mid").perform(0, duration_s=20).keys
    steps = np.diff([key.press_s for key in keys]) / STATISTICS.poll_s
    assert np.abs(steps - np.round(steps)).max() * STATISTICS.poll_s < 0.0011
