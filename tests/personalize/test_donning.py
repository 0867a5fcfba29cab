import numpy as np
import pytest

from edge.errors import NotEnoughData
from edge.features import Frames
from edge.samples import ELECTRODES
from personalize.donning import FURTHEST, roll, seats
from personalize.features import log_power


def ring(seed: int, seconds: float = 20.0, turned: int = 0) -> Frames:
    """Muscles at fixed places under the ring, heard by the nearest electrodes; the ring is `turned`."""
    rng = np.random.default_rng(seed)
    places = np.array([0.0, 2.3, 3.1, 7.0, 11.4])
    frames = round(seconds * 125)
    swell = rng.gamma(0.5, 1.0, (frames, 1, len(places), 1))
    electrode = (np.arange(ELECTRODES) + turned)[:, None]
    away = np.abs((electrode - places + 8) % 16 - 8)  # (E, muscles)
    heard = np.einsum("em,twmf->twef", np.exp(-away), swell)
    values = np.log10(0.05 + np.repeat(np.repeat(heard, 2, axis=1), 33, axis=3)).astype(np.float32)
    return Frames(values, np.ones((frames, 2), np.bool_))


@pytest.mark.parametrize("turned", range(-FURTHEST, FURTHEST + 1))
def test_a_known_turn_is_found_and_rolled_back(turned):
    before, today = ring(0), ring(1, turned=turned)
    found = seats(before, today)
    assert [seat.turned for seat in found] == [turned, turned]
    back = seats(before, roll(today, (turned, turned)))
    assert all(seat.sits_as_before for seat in back)
    assert all(seat.margin > 0.01 for seat in found)


def test_gain_and_lost_contact_are_told():
    before, today = ring(0), ring(1)
    today.values[:, 0] += 0.6
    today.values[:, 1, 4] = -5.0
    left, right = seats(before, today)
    assert left.gain_db == pytest.approx(6, abs=0.5)
    assert left.lost == ()
    assert right.lost == (4,)
    assert not right.sits_as_before


def test_a_band_that_is_not_worn_is_left_out_and_a_short_look_is_refused():
    before, today = ring(0), ring(1)
    today.valid[:, 1] = False
    assert [seat.side for seat in seats(before, today)] == ["left"]
    with pytest.raises(NotEnoughData, match="left band was heard for 5 s"):
        seats(before, ring(1, seconds=5.0))


@pytest.mark.slow
def test_the_error_over_wearers_and_true_donnings_is_under_half_an_electrode():
    from simulate.difficulty import preset
    from simulate.recording import to_session
    from simulate.ring import Donning
    from simulate.seeds import stream
    from simulate.wearer import Wearer

    errors, nearest = [], []
    for user in range(51, 63):
        wearer = Wearer(user, "medium")
        before, today = (
            log_power(to_session(wearer.perform(n, duration_s=seconds))) for n, seconds in ((0, 60), (1, 20))
        )
        for turn in (0, 2):
            found = seats(before, Frames(np.roll(today.values, -turn, axis=2), today.valid))
            for wrist, seat in enumerate(found):
                sat = [
                    Donning.draw(preset("medium"), stream("donning", user, n, wrist)).rotation for n in (0, 1)
                ]
                true = sat[1] - sat[0] + turn
                errors.append(abs(seat.turned - true))
                nearest.append(seat.turned == round(true))
    print(f"mean error {np.mean(errors):.2f} electrodes, nearest in {np.mean(nearest):.0%} of {len(errors)}")  # noqa: T201
    assert np.mean(errors) < 0.5
    assert np.mean(nearest) > 0.75
