import pytest
import torch

from edge.errors import NotEnoughData
from personalize import recipe, study_run
from personalize.features import FramedSession
from personalize.study import Cell, Setting
from personalize.study_run import Prepared, train_cell
from personalize.train import TrainingFailed
from tests.personalize.toys import toy_session

SESSIONS = [FramedSession.of(toy_session(seed, 3.0)).prepared(None) for seed in range(3)]
PREPARED = Prepared(SESSIONS[:1], SESSIONS[1:2], SESSIONS[2:])
CELL = Cell(network="spatial_lstm", sessions=1)
EPOCHS = 2


def setting(**changes):
    small = {"batch_windows": 2, "window_s": 0.5, "warmup_s": 0.2, "dropout": 0.1}
    fields = {
        "recipe": recipe.override(recipe.load("paper"), small),
        "epochs": EPOCHS,
        "steps_fraction": 1.0,
        "seed": 3,
        "data": ("a",),
        "validation": ("b",),
        "test": ("c",),
        "simulated": True,
    }
    return Setting.model_validate(fields | changes)


class Stop(Exception):
    pass


def stop_in(epoch):
    def done(now, _epochs, within, _loss):
        if (now, within) == (epoch, 1.0):
            raise Stop

    return done


def figures(trained):
    epochs = [(epoch.loss, epoch.validation_cer_percent) for epoch in trained.epochs]
    return epochs, trained.best_epoch, trained.steps, trained.test


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train_cell(CELL, setting(), PREPARED, tmp_path_factory.mktemp("run") / "x.safetensors")


def test_a_cell_is_trained_epoch_by_epoch(whole):
    assert len(whole.epochs) == EPOCHS
    assert whole.steps == EPOCHS * 2
    assert whole.epochs[0].loss > whole.epochs[-1].loss
    best = min(epoch.validation_cer_percent for epoch in whole.epochs)
    assert whole.epochs[whole.best_epoch - 1].validation_cer_percent == best


@pytest.mark.parametrize("epoch", [1, 2])
def test_what_was_cut_short_ends_as_if_it_had_not_been_and_nothing_is_done_twice(tmp_path, whole, epoch):
    checkpoint, begun = tmp_path / "x.safetensors", []
    with pytest.raises(Stop):
        train_cell(CELL, setting(), PREPARED, checkpoint, stop_in(epoch))
    assert checkpoint.exists() == (epoch > 1)
    again = train_cell(CELL, setting(), PREPARED, checkpoint, lambda *now: begun.append(now[0]))
    assert sorted(set(begun)) == list(range(epoch, EPOCHS + 1))
    assert figures(again) == figures(whole)
    for key, tensor in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[key], tensor), key


def test_a_finished_checkpoint_trains_no_more(tmp_path):
    checkpoint, begun = tmp_path / "x.safetensors", []
    train_cell(CELL, setting(epochs=1), PREPARED, checkpoint)
    again = train_cell(CELL, setting(epochs=1), PREPARED, checkpoint, lambda *now: begun.append(now))
    assert begun == []
    assert len(again.epochs) == 1


def test_a_damaged_checkpoint_is_begun_again(tmp_path):
    checkpoint = tmp_path / "x.safetensors"
    once = train_cell(CELL, setting(epochs=1), PREPARED, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    assert figures(train_cell(CELL, setting(epochs=1), PREPARED, checkpoint)) == figures(once)


def test_a_part_of_the_steps_is_that_part(tmp_path):
    part = train_cell(CELL, setting(epochs=1, steps_fraction=0.5), PREPARED, tmp_path / "x.safetensors")
    assert part.steps == 1


def test_recordings_that_are_too_short_are_refused(tmp_path):
    long = recipe.override(setting().recipe, {"window_s": 30.0})
    with pytest.raises(NotEnoughData, match=r"no stretch of 30\.2 s"):
        train_cell(CELL, setting(recipe=long), PREPARED, tmp_path / "x.safetensors")


def test_a_loss_that_is_not_finite_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(study_run, "labels_loss", lambda _: lambda p, *_: p.sum() * torch.nan)
    with pytest.raises(TrainingFailed, match="nan"):
        train_cell(CELL, setting(), PREPARED, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []
