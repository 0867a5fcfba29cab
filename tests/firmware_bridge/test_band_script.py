"""Scripts: what a file says becomes changes in order; what it must not say is refused in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.errors import BadInput
from edge.samples import RATE_HZ, SIDES
from firmware_bridge.band_script import (
    BatteryEvent,
    Discharge,
    Drift,
    DriftEvent,
    DropEvent,
    IntervalEvent,
    LeadOffEvent,
    Leave,
    LoseContact,
    Mistreat,
    MistreatEvent,
    Radio,
    RebootEvent,
    Restart,
    Return,
    Script,
    Step,
    describe,
    load,
    names,
)


def test_events_become_changes_in_order():
    script = Script(
        events=[
            LeadOffEvent(at_s=3, side="left", electrodes=(1, 15), for_s=1),
            DropEvent(at_s=1, side="left", away_s=0.5),
            RebootEvent(at_s=2, side="right", away_s=0.25),
            MistreatEvent(at_s=1.5, side="right", what="loss", percent=5, for_s=1),
            BatteryEvent(at_s=0, side="left", percent=20, drain_percent_per_min=1),
            DriftEvent(at_s=0, side="right", ppm=-50),
            IntervalEvent(at_s=5, side="left", interval_ms=30, pdus=4, error_percent=1),
        ]
    )
    assert script.steps() == [
        Step(0, "left", Discharge(20, 1)),
        Step(0, "right", Drift(-50)),
        Step(2000, "left", Leave()),
        Step(3000, "left", Return()),
        Step(3000, "right", Mistreat("loss", 5)),
        Step(4000, "right", Leave()),
        Step(4000, "right", Restart()),
        Step(4500, "right", Return()),
        Step(5000, "right", Mistreat("loss", 0)),
        Step(6000, "left", LoseContact(frozenset({1, 15}))),
        Step(8000, "left", LoseContact(frozenset())),
        Step(10_000, "left", Radio(30, 4, 1)),
    ]


spans = st.lists(st.integers(1, 20), min_size=2, max_size=10).map(
    lambda lengths: [(sum(lengths[:i]), lengths[i]) for i in range(len(lengths))]
)


@settings(deadline=None)  # this machine may be busy
@given(spans, st.randoms(use_true_random=False))
def test_what_ends_when_the_next_begins_does_not_end_that_too(spans, random):
    events = [MistreatEvent(at_s=at_s, what="loss", percent=at_s / 2, for_s=for_s) for at_s, for_s in spans]
    random.shuffle(events)
    for side in SIDES:
        now = 0.0
        steps = iter([step for step in Script(events=events).steps() if step.side == side])
        following = next(steps)
        for at_s, for_s in spans:
            while following is not None and following.tick <= at_s * RATE_HZ:
                now, following = following.change.percent, next(steps, None)
            assert now == at_s / 2  # a stretch's percentage is half its beginning
            assert following.tick == (at_s + for_s) * RATE_HZ


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (
            [DropEvent(at_s=1, away_s=2), RebootEvent(at_s=2, side="left", away_s=1)],
            "drop or reboot overlap at 2",
        ),
        ([LeadOffEvent(at_s=0, electrodes=(1,), for_s=3)] * 2, "lead_off overlap"),
    ],
)
def test_overlapping_events_are_refused(events, says):
    with pytest.raises(ValidationError, match=says):
        Script(events=events)


def test_a_band_may_be_gone_while_its_neighbour_is():
    Script(events=[DropEvent(at_s=1, side="left", away_s=2), DropEvent(at_s=2, side="right", away_s=2)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("events: [{at_s: 1, what: drop}]", "events.0.drop.away_s: Field required"),
        ("events: [{at_s: 1, what: drop, away_s: 1, away: 2}]", "away: Extra inputs"),
        ("events: [{at_s: -1, what: drop, away_s: 1}]", "greater than or equal to 0"),
        ("events: [{at_s: 1, what: explode}]", "explode"),
        ("events: [{at_s: 1, what: lead_off, electrodes: [16], for_s: 1}]", "less than 16"),
        ("events: [{at_s: .nan, what: drift, ppm: 3}]", "finite number"),
        ("left: {side: middle}", "left.side"),
        ("[", "is not YAML"),
        ("7", "is not a script for bands: the file"),
    ],
)
def test_what_is_no_script_is_refused(tmp_path, text, says):
    file = tmp_path / "script.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"script\.yaml") as refused:
        load(file)
    assert says in str(refused.value)


def test_a_script_that_is_not_there_is_named():
    with pytest.raises(BadInput, match=r"nowhere cannot be read: .*bad-day"):
        load("nowhere")


def test_every_script_that_ships_is_one_and_says_so():
    assert "bad-day" in names()
    for name in names():
        script = load(name)
        assert script.name == name
        assert all(describe(step.change) for step in script.steps())
