"""`qwrist don`: what it finds, what it keeps, what it proposes; and live text is offline text, rolled too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.decoder import Greedy, decode_all
from edge.edits import text_of
from edge.roll import kept, roll
from edge.session import Session, write_session
from edge.store import User, UserStore
from personalize import splits
from personalize.evaluate import evaluate, session_emissions
from personalize.fit import personalize_user
from personalize.model import load_model
from personalize.recipe import override
from personalize.reference import TorchRuntime
from qwrist import bands
from qwrist.verbs import don as verb
from qwrist.verbs import live
from qwrist.verbs.turned import asked_or_kept
from tests.conftest import Run
from tests.personalize.rings import ring_session
from tests.personalize.test_fit import BARELY, QUICK


def fitted(home: Path, recipe, *sessions: Session) -> User:
    user = UserStore(home).create("ada")
    for session in sessions:
        write_session(user.session_path(user.new_session_name()), replace(session, user="ada"))
    personalize_user(user, recipe)
    return user


@pytest.fixture(scope="module")
def barely_fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose user has a model that was trained, and can read nothing yet."""
    root = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "MIN_TRAINING_S", 10.0)
        fitted(root, BARELY, ring_session(0, 25), ring_session(1, 6))
    return root


@pytest.fixture
def user(home: Path, barely_fitted: Path) -> User:
    shutil.copytree(barely_fitted, home)
    return UserStore(home).user("ada")


@pytest.fixture
def worn(tmp_path: Path):
    def write(session: Session) -> str:
        path = tmp_path / "today.hdf5"
        write_session(path, session)
        return f"file:{path}"

    return write


def test_a_turn_is_found_kept_and_used_until_it_is_stale(run: Run, user: User, worn, capsys) -> None:
    answer = run("don", "--user", "ada", "--band", worn(ring_session(2, 25, turned=2)), "--json")
    found = json.loads(answer.out)
    assert (answer.code, found["kept"], found["doubts"], found["simulated"]) == (0, True, [], True)
    assert [(band["side"], band["turned"], band["lost"]) for band in found["bands"]] == [
        ("left", 2, []),
        ("right", 2, []),
    ]
    assert found["bands"][0]["degrees"] == pytest.approx(45, abs=5)
    folder = user.slot(1)
    assert asked_or_kept(user, folder, None) == (2, 2)
    assert "rolled by left +2, right +2" in capsys.readouterr().err
    assert asked_or_kept(user, folder, "0,0") == (0, 0)
    write_session(user.session_path(user.new_session_name()), ring_session(3, 6))
    assert asked_or_kept(user, folder, None) == (0, 0)
    assert "session-0003 was recorded since" in capsys.readouterr().err


def test_bands_that_sit_as_before_are_said_to(run: Run, user: User, worn) -> None:
    answer = run("don", "--user", "ada", "--band", worn(ring_session(2, 25)), "--seconds", "15")
    assert answer.code == 0
    assert "they sit as they did" in answer.out
    last = kept(user)
    assert last is not None
    assert (last.turned, last.model, last.newest) == ((0, 0), "0001", "session-0002")


def far(session: Session) -> Session:
    return replace(session, emg_uv=roll(session.emg_uv, (5, 0)))


def loose(session: Session) -> Session:
    emg = session.emg_uv.copy()
    emg[:, 1, 7] *= 1e-3
    return replace(session, emg_uv=emg)


def still(session: Session) -> Session:
    noise = np.random.default_rng(0).standard_normal(session.emg_uv.shape)
    return replace(session, emg_uv=noise.astype(np.float32))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (far, "left band is turned by -5 electrodes"),
        (loose, "electrodes 7 of the right band have no contact"),
        (still, "how the left band sits is a guess"),
    ],
)
def test_what_a_roll_does_not_mend_is_said_with_the_way_to_a_touch_up(
    run: Run, user: User, worn, spoil, said: str
) -> None:
    good = worn(ring_session(2, 25))
    assert run("don", "--user", "ada", "--band", good).code == 0
    answer = run("don", "--user", "ada", "--band", worn(spoil(ring_session(2, 25))))
    assert answer.code == 1
    assert said in answer.out
    assert "qwrist enroll --user ada --sentences 10\n  personalize --user ada --touch-up" in answer.out
    assert kept(user) is None, "the roll of the donning before"


def test_a_short_look_and_a_user_without_a_model_are_refused(run: Run, user: User, worn, home: Path) -> None:
    short = run("don", "--user", "ada", "--band", worn(ring_session(2, 6)))
    assert (short.code, "heard for 6 s" in short.err) == (2, True)
    assert (
        "--seconds" in run("don", "--user", "ada", "--band", worn(ring_session(2, 6)), "--seconds", "5").err
    )
    assert user.current() is not None
    UserStore(home).create("eve")
    assert "personalize --user eve" in run("don", "--user", "eve", "--band", worn(ring_session(2, 6))).err


def test_the_shortest_look_is_what_a_print_needs() -> None:
    from personalize.donning import FEWEST_S, SECONDS

    assert (verb._LEAST_S, verb.SECONDS) == (FEWEST_S, SECONDS)


def test_don_needs_no_torch() -> None:
    block = "import sys; sys.modules['torch'] = sys.modules['safetensors'] = None\n"
    code = block + "import personalize.donning, personalize.prints, qwrist.verbs.don, qwrist.verbs.live"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_typed_is_rolled_before_anything_hears_it(user: User, worn, monkeypatch) -> None:
    session, heard = ring_session(2, 3), []

    async def follow(_pipeline, source, _clock):
        heard.extend([chunk.emg_uv async for chunk in source.chunks()])
        for nothing in ():
            yield nothing

    monkeypatch.setattr(live, "follow", follow)
    network, manifest = load_model(user.slot(1))
    decoder = live.Decoder(manifest, TorchRuntime(network, manifest.form))
    live.decode_live(decoder, bands.parse(worn(session)), None, None, (1, -2))
    np.testing.assert_array_equal(np.concatenate(heard), roll(session.emg_uv, (1, -2)))


@pytest.mark.slow
@pytest.mark.timeout(900)  # minutes of work, on a machine that may have other
def test_live_text_is_offline_text_rolled_alike_and_a_roll_mends_a_turn(
    home: Path, worn, monkeypatch
) -> None:
    monkeypatch.setattr(splits, "MIN_TRAINING_S", 10.0)
    recipe = override(QUICK, {"steps": 60})
    user = fitted(home, recipe, ring_session(0, 60), ring_session(1, 8))
    network, manifest = load_model(user.slot(1))
    runtime = TorchRuntime(network, manifest.form)
    session = ring_session(4, 20, turned=4)
    cers = {}
    for turned in ((0, 0), (4, 4)):
        read = replace(session, emg_uv=roll(session.emg_uv, turned))
        decoder, spec = live.Decoder(manifest, runtime, Greedy()), bands.parse(worn(session))
        said = live.decode_live(decoder, spec, None, None, turned)
        assert said.text == text_of(decode_all(Greedy(), session_emissions(runtime, manifest, read)))
        assert said.cer == evaluate(runtime, manifest, [read])
        assert said.turned == turned
        cers[turned] = said.cer.percent
    print(cers)  # noqa: T201
    assert cers[4, 4] < cers[0, 0] / 2
