"""The training gate: half an hour of one simulated person's typing is enough to read them, from scratch.

Streaming network, causal normalisation, medium wearers named beforehand, four sessions of 8 minutes to train
on, one more donning to choose the epoch, one more that nothing has seen to report. The control is the same
run without the keystroke-aligned loss.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from statistics import median

import pytest

from edge.normalize import prior_from
from edge.scoring import Cer
from personalize import recipe
from personalize.base_users import forbid
from personalize.features import FramedSession
from personalize.recipe import Recipe
from personalize.train import initial_network, train, validate

WEARERS = (11, 12, 13)
TRAINING_SESSIONS = 4
SESSION_S = 480.0
LIMIT_PERCENT = 25.0
STEPS = 1200
PROCESSES = 2
MINUTES = 60

RECIPE = recipe.load("streaming")
CONTROL = RECIPE.model_copy(update={"align": None})


def fit_from_scratch(user: int, settings: Recipe) -> Cer:
    """The test CER of one wearer."""
    from simulate.recording import to_session
    from simulate.wearer import Wearer

    forbid(user)
    wearer = Wearer(user, "medium")
    framed = [
        FramedSession.of(to_session(wearer.perform(n, duration_s=SESSION_S)))
        for n in range(TRAINING_SESSIONS + 2)
    ]
    prior = prior_from(session.frames for session in framed[:TRAINING_SESSIONS])
    *training, validation, test = (session.prepared(prior) for session in framed)
    network = initial_network(settings.network, seed=0)
    train(network, training, [validation], settings, seed=0)
    return validate(network, [test])


def cers(runs: Iterable[tuple[int, Recipe]]) -> list[float]:
    """Each run in a process of its own, on one thread: two at a time."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _one_thread, maxtasksperchild=1) as pool:
        return [cer.percent for cer in pool.starmap(fit_from_scratch, runs, chunksize=1)]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES)
def test_half_an_hour_of_typing_is_enough_and_the_aligned_loss_is_why():
    assert RECIPE.steps <= STEPS
    assert RECIPE.start == "scratch"
    assert RECIPE.network == "streaming"
    found = cers([(user, settings) for settings in (RECIPE, CONTROL) for user in WEARERS])
    with_alignment, without = found[: len(WEARERS)], found[len(WEARERS) :]
    assert median(with_alignment) <= LIMIT_PERCENT, f"test CER of wearers {WEARERS}: {with_alignment}"
    assert median(without) > LIMIT_PERCENT, f"CTC alone was enough: {without}"
