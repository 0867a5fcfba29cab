from dataclasses import replace

import pytest

from edge.errors import BadSession
from edge.quality import Severity
from edge.session import Session
from personalize.checks import CLEAR, CLOCK_S, FEWEST_KEYS, check_session, check_users, hands_match, refuse
from personalize.features import FramedSession
from tests.personalize.toys import toy_session


@pytest.fixture(scope="module", params=[41, 44])
def typed(request) -> Session:
    from simulate.recording import to_session
    from simulate.wearer import Wearer

    return to_session(Wearer(request.param, "hard").perform(0, duration_s=60))


def found(session: Session):
    return check_session(session, FramedSession.of(session))


def later(session: Session, by_s: float) -> Session:
    keys = (key._replace(press_s=key.press_s + by_s, release_s=key.release_s + by_s) for key in session.keys)
    return replace(session, keys=tuple(keys), prompts=())


def test_a_good_recording_gives_no_finding(typed):
    assert found(typed) == []
    match = hands_match(FramedSession.of(typed))
    assert match.clarity > CLEAR
    assert -0.15 < match.lag_s < 0


def test_swapped_bands_are_named(typed):
    swapped = replace(typed, emg_uv=typed.emg_uv[:, ::-1].copy())
    assert [(f.check, f.severity) for f in found(swapped)] == [("bands", Severity.FAIL)]
    with pytest.raises(BadSession, match="the bands are swapped"):
        refuse(found(swapped))


@pytest.mark.parametrize("by_s", [-3.0, 2 * CLOCK_S])
def test_a_clock_that_is_off_is_told_by_how_much(typed, by_s):
    (finding,) = found(later(typed, by_s))
    assert (finding.check, finding.severity) == ("clock", Severity.FAIL)
    match = hands_match(FramedSession.of(later(typed, by_s)))
    assert match.lag_s == pytest.approx(-by_s, abs=0.15)


def test_keys_of_another_time_are_a_wrong_clock(typed):
    (finding,) = found(later(typed, 3600.0))
    assert finding.check == "clock"
    assert "0 % of its keys" in finding.text


def test_a_dead_electrode_is_named_and_does_not_stop_training(typed):
    emg = typed.emg_uv.copy()
    emg[:, 1, 5] = 0
    findings = found(replace(typed, emg_uv=emg))
    assert [(f.check, f.severity) for f in findings] == [("flat", Severity.WARN)]
    assert "electrode 5 of the right band" in findings[0].text
    refuse(findings)


def test_recordings_of_two_people_are_refused():
    assert check_users([("a", "ada"), ("b", "ada")]) == []
    with pytest.raises(BadSession, match="b: it is of user 'bob' and a is of 'ada'"):
        refuse(check_users([("a", "ada"), ("b", "bob")]))


def test_what_cannot_be_told_is_not_guessed():
    session = toy_session(0, 20)  # left hand's letters only, both bands alike
    assert hands_match(FramedSession.of(session)).clarity == 0
    both = replace(
        session, keys=tuple(k._replace(key="aj"[i % 2]) for i, k in enumerate(session.keys)), prompts=()
    )
    assert len(both.keys) > 2 * FEWEST_KEYS
    assert abs(hands_match(FramedSession.of(both)).clarity) < CLEAR
    silent = replace(session, keys=(), prompts=())
    assert hands_match(FramedSession.of(silent)).clarity == 0
