"""Recording checks: each planted fault is named, and a good recording is left in peace."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from edge.quality import Severity, Verdict, check
from edge.samples import RATE_HZ, Bool, Float32, Prompt, SegmentStart
from edge.session import PROMPTED, Session
from tests.edge.making import START_S, make_session, shared_data, typed

SAMPLES = 61 * RATE_HZ
TEXT = "the quick brown fox jumps over it\n"
TIMES = np.arange(SAMPLES) / RATE_HZ


@cache
def noise() -> Float32:
    return 20 * np.random.default_rng(0).standard_normal((SAMPLES, 2, 16), np.float32)


def recording(damage: Callable[[Float32, Bool], None] = lambda _emg, _valid: None, **changes: Any) -> Session:
    """A good minute of typing, then damaged."""
    emg = noise().copy()
    valid = np.ones((SAMPLES, 2), np.bool_)
    damage(emg, valid)
    fields = {
        "emg_uv": emg,
        "valid": valid,
        "keys": typed(TEXT),
        "prompts": (Prompt(TEXT.replace("\n", "⏎"), START_S, START_S + 20),),
    }
    return make_session(SAMPLES, **(fields | changes))


def worst(session: Session) -> Severity:
    return max(verdict.severity for verdict in check(session))


def found(session: Session) -> list[Verdict]:
    return [verdict for verdict in check(session) if verdict.severity is not Severity.OK]


def test_a_good_recording_is_ok_throughout() -> None:
    verdicts = check(recording())
    assert [verdict.check for verdict in verdicts] == ["electrodes", "loss", "truth", "length"]
    assert {verdict.severity for verdict in verdicts} == {Severity.OK}


def flat(emg: Float32, _valid: Bool) -> None:
    emg[:, 1, 3] = 7.0


def clipping(emg: Float32, _valid: Bool) -> None:
    emg[:, 0, 5] = np.clip(emg[:, 0, 5] * 3, -100, 100)


def hum(hz: float, amplitude_uv: float) -> Callable[[Float32, Bool], None]:
    def damage(emg: Float32, _valid: Bool) -> None:
        emg[:, 0, 0] += (amplitude_uv * np.sin(2 * np.pi * hz * TIMES)).astype(np.float32)

    return damage


def loud(emg: Float32, _valid: Bool) -> None:
    emg[:, 1, 15] *= 40


@pytest.mark.parametrize(
    ("damage", "name", "severity", "side", "electrode"),
    [
        (flat, "flat", Severity.WARN, "right", 3),
        (clipping, "clipping", Severity.WARN, "left", 5),
        (hum(50, 50), "mains", Severity.WARN, "left", 0),
        (hum(60, 50), "mains", Severity.WARN, "left", 0),
        (hum(150, 50), "mains", Severity.WARN, "left", 0),
        (loud, "loud", Severity.WARN, "right", 15),
    ],
)
def test_a_bad_electrode_is_named(
    damage: Callable[[Float32, Bool], None], name: str, severity: Severity, side: str, electrode: int
) -> None:
    (verdict,) = found(recording(damage))
    assert (verdict.check, verdict.severity) == (name, severity)
    assert (verdict.side, verdict.electrode) == (side, electrode)
    assert verdict.figure
    assert verdict.meaning
    assert verdict.advice


def test_less_mains_than_muscle_is_no_fault() -> None:
    assert found(recording(hum(50, 20))) == []


def test_a_tone_beside_the_mains_is_not_mains() -> None:
    assert found(recording(hum(73, 100))) == []


def test_an_offset_and_slow_movement_are_not_faults() -> None:
    def drift(emg: Float32, _valid: Bool) -> None:
        emg += 3000 + (500 * np.sin(2 * np.pi * 0.7 * TIMES)).astype(np.float32)[:, None, None]

    assert found(recording(drift)) == []


def test_too_few_good_electrodes_fail_the_band() -> None:
    def damage(emg: Float32, _valid: Bool) -> None:
        emg[:, 0, :9] = 0

    verdicts = found(recording(damage))
    assert len(verdicts) == 10
    assert [v for v in verdicts if v.severity is Severity.FAIL] == [verdicts[-1]]
    assert (verdicts[-1].side, verdicts[-1].figure) == ("left", "7 of 16 electrodes are usable")


def drop(share: float, run: int, wrist: int = 0) -> Callable[[Float32, Bool], None]:
    def damage(emg: Float32, valid: Bool) -> None:
        for start in range(0, SAMPLES, round(run / share)):
            valid[start : start + run, wrist] = False
            emg[start : start + run, wrist] = emg[max(0, start - 1), wrist]

    return damage


@pytest.mark.parametrize(
    ("share", "run", "expected"),
    [
        (0.005, 9, []),
        (0.03, 9, [("loss", Severity.WARN)]),
        (0.09, 9, [("electrodes", Severity.WARN), ("loss", Severity.FAIL)]),
        (0.004, 300, [("gap", Severity.WARN)]),
    ],
)
def test_loss_and_gaps(share: float, run: int, expected: list[tuple[str, Severity]]) -> None:
    assert [(v.check, v.severity) for v in found(recording(drop(share, run)))] == expected


def test_a_break_is_named_and_is_not_loss() -> None:
    def damage(_emg: Float32, valid: Bool) -> None:
        valid[20_000:26_400, 1] = False
        valid[30_000:32_000, 1] = False

    starts = (
        SegmentStart(26_400, "right", "restarted", 6400, 200),
        SegmentStart(32_000, "right", "reconnected", 2000, 0),
    )
    (verdict,) = found(recording(damage, segments=starts))
    assert (verdict.check, verdict.severity, verdict.side) == ("link", Severity.WARN, "right")
    assert verdict.figure == "2 breaks, longest 3.2 s, 1 of uncertain length"
    assert {v.check for v in found(recording(damage))} >= {"loss", "gap"}


def test_electrodes_are_judged_between_the_gaps_of_a_link_that_still_serves() -> None:
    def damage(emg: Float32, valid: Bool) -> None:
        emg[:, 0, 5] = 0
        drop(0.03, 9)(emg, valid)

    assert ("flat", 5) in [(v.check, v.electrode) for v in found(recording(damage))]


def test_electrodes_that_cannot_be_judged_are_not_called_good() -> None:
    def damage(emg: Float32, valid: Bool) -> None:
        emg[:, 0] = 0
        drop(0.09, 9)(emg, valid)

    verdict = next(v for v in found(recording(damage)) if v.check == "electrodes")
    assert (verdict.severity, verdict.side) == (Severity.WARN, "left")
    assert "could not be judged" in verdict.meaning


def test_the_band_that_is_not_worn_is_not_missed() -> None:
    def damage(emg: Float32, valid: Bool) -> None:
        emg[:, 0], valid[:, 0] = 0, False

    assert found(recording(damage, sides=("right",))) == []


def test_keys_that_are_not_the_prompts() -> None:
    one = typed(TEXT.replace("quick", "quack").replace("fox", "dog"))
    (warned,) = found(recording(keys=one))
    assert (warned.check, warned.severity) == ("truth", Severity.WARN)
    (failed,) = found(recording(keys=typed("lorem ipsum dolor sit amet consec\n")))
    assert (failed.check, failed.severity) == ("truth", Severity.FAIL)
    assert found(recording(keys=typed(TEXT.replace("quick", "quack\b\b\b\b\bquick")))) == []


def test_keys_of_a_prompt_that_was_broken_off_are_no_typing_errors() -> None:
    keys = (*typed("hello\n"), *typed("the quick br", START_S + 3), *typed("world\n", START_S + 8))
    prompts = (
        Prompt("hello⏎", START_S + 0.2, START_S + 1.5),
        Prompt("world⏎", START_S + 7.9, START_S + 9.0),
    )
    session = recording(keys=keys, prompts=prompts)
    assert "truth" not in [verdict.check for verdict in found(session)]


def test_too_little() -> None:
    (few,) = found(recording(keys=typed("hi\n"), prompts=()))
    assert (few.check, few.severity, few.figure) == ("length", Severity.FAIL, "3 keys")
    (short,) = found(make_session(20 * RATE_HZ, keys=typed(TEXT), prompts=()))
    assert (short.check, short.severity, short.figure) == ("length", Severity.WARN, "20 s")


def test_prompts_alone_are_counted_by_their_text() -> None:
    assert found(recording(condition=PROMPTED, keys=())) == []
    (few,) = found(recording(condition=PROMPTED, keys=(), prompts=()))
    assert few.check == "length"


def test_a_recording_of_a_moment_is_judged_too() -> None:
    assert worst(make_session(10)) is Severity.FAIL


def test_unstated_units_are_not_judged_in_microvolts() -> None:
    def tiny(emg: Float32, _valid: Bool) -> None:
        emg *= 1e-4

    assert worst(recording(tiny)) is Severity.FAIL
    assert found(recording(tiny, calibrated=False)) == []


def test_real_semg_has_no_dead_electrode() -> None:
    real = np.load(shared_data("emg/grabmyo_wrist_forearm.npz"))
    emg_uv = real["emg_int16"][:, :, :16].reshape(-1, 16) * (1000 * real["mv_per_lsb"])
    both = np.stack([emg_uv, emg_uv], 1).astype(np.float32)
    # 2048 Hz on our clock: for dead electrodes and clipping that is no matter
    names = {v.check for v in check(make_session(len(both), emg_uv=both, keys=typed(TEXT), prompts=()))}
    assert not names & {"flat", "loud", "clipping"}
