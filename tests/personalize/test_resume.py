"""Interrupted training goes on where it was and ends to the bit as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge.normalize import prior_from
from personalize import recipe, resume
from personalize import train as train_module
from personalize.features import FramedSession
from personalize.train import initial_network, train
from tests.personalize.toys import toy_session

STEPS = 8
QUICK = recipe.load("streaming").model_copy(
    update={
        "steps": STEPS,
        "evaluations": 4,
        "batch_windows": 2,
        "window_s": 1.0,
        "dropout": 0.3,
        "average_decay": 0.9,
    }
)


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def keyboard():
    return prepared()


def prepared():
    framed = [FramedSession.of(toy_session(seed, 6)) for seed in range(2)]
    prior = prior_from(session.frames for session in framed)
    return [session.prepared(prior) for session in framed]


@pytest.fixture(autouse=True)
def _saved_after_each_step(monkeypatch):
    monkeypatch.setattr(train_module, "_SAVED_EVERY_S", 0.0)


class Killed(BaseException):
    pass


def run(keyboard, folder, *, killed_after=None, seed=5, settings=QUICK):
    """The trained weights, what `train` gave, and the steps that were taken for it."""
    steps = []

    def progress(step, _total, _loss):
        steps.append(step)
        if step == killed_after:
            raise Killed

    network = initial_network("streaming", 1)
    result = train(
        network, keyboard[:1], keyboard[1:], settings, seed=seed, progress=progress, unfinished=folder
    )
    return network.state_dict(), result, steps


@pytest.fixture(scope="module")
def whole(keyboard):
    return run(keyboard, None)


def assert_same(one, other):
    assert one[1] == other[1]
    assert all(torch.equal(one[0][name], other[0][name]) for name in one[0])


# Told of step n, it has kept n - 1: before the first evaluation, after one, before the last step.
@pytest.mark.parametrize("killed_after", [2, 5, STEPS])
def test_a_run_that_was_killed_ends_as_one_that_was_not(keyboard, whole, tmp_path, killed_after):
    with pytest.raises(Killed):
        run(keyboard, tmp_path, killed_after=killed_after)
    assert resume.kept_steps(tmp_path) == killed_after - 1
    again = run(keyboard, tmp_path)
    assert again[2] == list(range(killed_after, STEPS + 1))
    assert_same(again, whole)


def test_a_run_that_was_killed_twice_does_too(keyboard, whole, tmp_path):
    for step in (3, 6):
        with pytest.raises(Killed):
            run(keyboard, tmp_path, killed_after=step)
    assert_same(run(keyboard, tmp_path), whole)


def test_what_is_done_is_not_done_again_until_all_is(keyboard, whole, tmp_path):
    run(keyboard, tmp_path)
    again = run(keyboard, tmp_path)
    assert again[2] == []
    assert_same(again, whole)
    resume.clear(tmp_path)
    assert not tmp_path.exists()
    resume.clear(tmp_path)
    assert run(keyboard, tmp_path)[2] == list(range(1, STEPS + 1))


def test_another_seed_recipe_or_recording_is_another_run(keyboard, tmp_path):
    with pytest.raises(Killed):
        run(keyboard, tmp_path, killed_after=5)
    others = [
        {"seed": 6},
        {"settings": QUICK.model_copy(update={"learning_rate": 1e-4})},
        {"keyboard": [replace(keyboard[0], values=keyboard[0].values + 1), keyboard[1]]},
        {"keyboard": [replace(keyboard[0], labels=keyboard[0].labels.between(0, 400)), keyboard[1]]},
        {"keyboard": [keyboard[0], replace(keyboard[1], valid=~keyboard[1].valid)]},
    ]
    for other in others:
        told = {"keyboard": keyboard, "killed_after": 1} | other
        steps = []
        with pytest.raises(Killed):
            steps = run(told.pop("keyboard"), tmp_path, **told)[2]
        assert steps == [], "it began anew, with step 1"


@pytest.mark.parametrize("damage", ["cut", "turned", "empty", "strange"])
def test_what_is_not_whole_is_made_again(keyboard, whole, tmp_path, damage):
    with pytest.raises(Killed):
        run(keyboard, tmp_path, killed_after=4)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    damaged = {"cut": content[:-9], "turned": content[::-1], "empty": b"", "strange": _without_figures()}
    file.write_bytes(damaged[damage])
    assert resume.kept_steps(tmp_path) == 0
    again = run(keyboard, tmp_path)
    assert again[2] == list(range(1, STEPS + 1))
    assert_same(again, whole)


def test_the_folder_is_for_its_user_alone(keyboard, tmp_path):
    run(keyboard, tmp_path / "unfinished")
    assert (tmp_path / "unfinished").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "unfinished").iterdir()] == [0o600]


_CHILD = """
import os, signal, sys
from pathlib import Path
from tests.personalize import test_resume as here
here.train_module._SAVED_EVERY_S = 0.0

class Killed(BaseException):
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)

here.Killed = Killed
here.run(here.prepared(), Path(sys.argv[1]), killed_after=5)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)  # minutes of work, on a machine that may have other
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_that_was_killed_is_no_exception(keyboard, whole, tmp_path):
    child = subprocess.run([sys.executable, "-c", _CHILD, tmp_path], cwd=ROOT, check=False, timeout=120)
    assert child.returncode == -signal.SIGKILL
    again = run(keyboard, tmp_path)
    assert again[2] == list(range(5, STEPS + 1))
    assert_same(again, whole)


def _without_figures():
    from safetensors import torch as safetensors_torch

    return safetensors_torch.save({"network.x": torch.zeros(1)}, {"figures": "{}"})
