"""What the page shows of a model is what evaluation says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import BadInput
from edge.normalize import prior_from
from edge.samples import Side
from edge.session import write_session
from edge.store import User, UserStore
from personalize import base, recipe
from personalize.evaluate import evaluate
from personalize.features import FramedSession
from personalize.html_report.aligned import cer_of
from personalize.html_report.findings import find
from personalize.model import describe, save_model
from personalize.reference import TorchRuntime
from personalize.report import CerRecord, EvaluationRecord, FitReport, PartRecord, write_report
from personalize.splits import Role
from tests.personalize.toys import toy_session


def _user(home: Path, *, on_keyboard: bool) -> User:
    """With two recordings of one band and, unfitted, the base as their model."""
    user = UserStore(home).create("toy")
    sides: tuple[Side, ...] = ("left",)
    sessions = [toy_session(seed, 8.0, on_keyboard=on_keyboard, sides=sides) for seed in (0, 1)]
    for number, session in enumerate(sessions, 1):
        user.session_path(f"session-{number:04d}").parent.mkdir(exist_ok=True)
        write_session(user.session_path(f"session-{number:04d}"), session)
    network = base.load("streaming")
    prior = prior_from([FramedSession.of(sessions[0]).frames])
    manifest = describe(network, user="toy", simulated=True, sides=sides, prior=prior)
    cer = CerRecord.of(evaluate(TorchRuntime(network), manifest, [sessions[1]]))
    roles: tuple[tuple[Role, int], ...] = (("validation", 1), ("test", 2))
    report = FitReport(
        user="toy",
        network="streaming",
        start="base",
        recipe=recipe.load("finetune"),
        seed=0,
        simulated=True,
        parts=tuple(
            PartRecord(session=f"session-{n:04d}", role=role, start_s=0, minutes=8 / 60, labels=1)
            for role, n in roles
        ),
        parameters=1,
        steps=1,
        best_step=1,
        evaluations=(EvaluationRecord(step=1, loss=1, validation_cer_percent=cer.percent),),
        validation=cer,
        test_before=None,
        test=cer,
        promoted=True,
        wall_time_s=1,
    )
    with user.new_slot() as folder:
        save_model(folder, network, manifest)
        write_report(folder, report)
    return user


@pytest.mark.parametrize("on_keyboard", [True, False])
def test_it_hears_what_evaluation_heard(tmp_path: Path, *, on_keyboard: bool) -> None:
    user = _user(tmp_path, on_keyboard=on_keyboard)
    found = find(user, user.slot(1))
    assert CerRecord.of(cer_of(found.pairs("test"))) == found.report.test
    assert list(found.importance) == ["left"]
    assert (found.importance["left"] != 0).any()
    assert {"weights", "charset", "recording session-0001", "recording session-0002"} == set(found.hashes)


def test_a_recording_that_is_gone_is_named(tmp_path: Path) -> None:
    user = _user(tmp_path, on_keyboard=True)
    user.session_path("session-0002").unlink()
    with pytest.raises(BadInput, match=r"session-0002\.hdf5, which the report tells of, is gone"):
        find(user, user.slot(1))
