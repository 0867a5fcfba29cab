import numpy as np
import pytest

from edge.errors import NotEnoughData
from edge.features import Frames
from edge.roll import roll
from edge.samples import ELECTRODES
from personalize.donning import FURTHEST, mean_prints, prints, seats
from personalize.features import log_power


def ring(seed: int, seconds: float = 20.0, turned: float = 0) -> Frames:
    """Muscles at fixed places under the ring, heard by the nearest electrodes; the ring is `turned`."""
    rng = np.random.default_rng(seed)
    places = np.array([0.0, 2.3, 3.1, 7.0, 11.4])
    frames = round(seconds * 125)
    swell = rng.gamma(0.5, 1.0, (frames, 1, len(places), 1))
    electrode = (np.arange(ELECTRODES) + turned)[:, None]
    away = np.abs((electrode - places + 8) % 16 - 8)  # (E, muscles)
    heard = np.einsum("em,twmf->twef", np.exp(-2 * away), swell)
    values = np.log10(0.05 + np.repeat(np.repeat(heard, 2, axis=1), 33, axis=3)).astype(np.float32)
    return Frames(values, np.ones((frames, 2), np.bool_))


def compare(before: Frames, today: Frames):
    return seats(prints(before), prints(today))


@pytest.mark.parametrize("turned", range(-8, 8))
def test_a_known_turn_is_found_and_rolled_back(turned):
    before, today = ring(0), ring(1, turned=turned)
    found = compare(before, today)
    assert [seat.turned for seat in found] == [turned, turned]
    assert [seat.between for seat in found] == pytest.approx([turned, turned], abs=0.2)
    assert [seat.degrees for seat in found] == pytest.approx([22.5 * turned] * 2, abs=4.5)
    back = compare(before, today._replace(values=roll(today.values, (turned, turned))))
    assert all(seat.sits_as_before for seat in back)
    assert all(len(seat.doubts) == (abs(turned) > FURTHEST) for seat in found)


@pytest.mark.parametrize("between", [-1.4, -0.3, 0.4, 1.6])
def test_a_turn_between_electrodes_is_told_to_its_fraction(between):
    found = compare(ring(0), ring(1, turned=between))
    assert [seat.between for seat in found] == pytest.approx([between] * 2, abs=0.25)
    assert [seat.turned for seat in found] == [round(between)] * 2


def test_halfway_between_two_turns_neither_is_a_guess():
    for seat in compare(ring(0), ring(1, turned=0.5)):
        assert seat.turned in (0, 1)
        assert seat.margin > 0.015, "ahead of all but the neighbour that fits as well"


def test_gain_and_lost_contact_are_told():
    before, today = ring(0), ring(1)
    today.values[:, 0] += 0.6
    today.values[:, 1, 4] = -5.0
    left, right = compare(before, today)
    assert left.gain_db == pytest.approx(6, abs=0.5)
    assert (left.lost, left.doubts) == ((), ())
    assert right.lost == (4,)
    assert not right.sits_as_before
    assert "electrodes 4 of the right band" in right.doubts[0]


def test_an_electrode_that_was_dead_in_training_is_not_lost_wherever_it_is_now():
    before, today = ring(0), ring(1, turned=2)
    before.values[:, 0, 6] = today.values[:, 0, 4] = -5.0
    assert compare(before, today)[0].lost == ()


@pytest.mark.parametrize("wrong", ["another forearm", "rest"])
def test_what_is_no_print_of_this_forearm_is_doubted(wrong):
    today = ring(1)
    if wrong == "rest":
        today.values[:] = np.random.default_rng(0).normal(-4, 0.1, today.values.shape)
    else:
        today.values[:] = today.values[:, :, np.random.default_rng(0).permutation(ELECTRODES)]
    for seat in compare(ring(0), today):
        assert "is a guess" in seat.doubts[0]


def test_a_mean_of_donnings_sits_amid_them():
    before = mean_prints(prints(ring(seed, turned=turned)) for seed, turned in enumerate((-1, 1, 0)))
    assert [seat.turned for seat in seats(before, prints(ring(9, turned=2)))] == [2, 2]


def test_a_band_that_is_not_worn_is_left_out_and_a_short_look_is_refused():
    before, today = ring(0), ring(1)
    today.valid[:, 1] = False
    assert [seat.side for seat in compare(before, today)] == ["left"]
    assert mean_prints([prints(today), prints(today)])[1] is None
    assert [seat.side for seat in seats(mean_prints([prints(today), prints(before)]), prints(before))] == [
        "left",
        "right",
    ]
    with pytest.raises(NotEnoughData, match="left band was heard for 5 s"):
        compare(before, ring(1, seconds=5.0))


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
            found = compare(before, Frames(np.roll(today.values, -turn, axis=2), today.valid))
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
