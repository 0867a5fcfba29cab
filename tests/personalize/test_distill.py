import pytest

from edge.errors import BadInput
from edge.session import write_session
from edge.store import UserStore
from personalize import recipe, splits
from personalize.distill import distill_user, newest_pupil
from personalize.fit import personalize_user
from personalize.model import load_model
from personalize.report import read_report
from tests.personalize.toys import toy_session

TEACHER = recipe.load("streaming").model_copy(
    update={"steps": 24, "evaluations": 2, "batch_windows": 2, "window_s": 2.0}
)
PUPIL = recipe.load("micro").model_copy(
    update={
        "start": "scratch",
        "steps": 32,
        "evaluations": 2,
        "batch_windows": 2,
        "window_s": 2.0,
        "learning_rate": 4e-3,
    }
)
ONE_STEP = PUPIL.model_copy(update={"steps": 1, "evaluations": 1})


@pytest.fixture(scope="module", autouse=True)
def short_recordings_will_do():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "MIN_TRAINING_S", 10.0)
        yield


def record(user, *sessions):
    for session in sessions:
        write_session(user.session_path(user.new_session_name()), session)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A user, their own model, and the small one that it taught."""
    user = UserStore(tmp_path_factory.mktemp("store")).create("ada")
    record(user, toy_session(0, 20), toy_session(1, 6), toy_session(2, 6))
    teacher = personalize_user(user, TEACHER)
    return user, teacher, distill_user(user, teacher.folder, PUPIL)


def test_a_pupil_is_kept_beside_its_teacher_and_not_put_in_use(taught):
    user, teacher, (report, folder) = taught
    network, manifest = load_model(folder)
    assert (network.name, manifest.user) == ("micro", "ada")
    assert read_report(folder) == report
    assert user.current() == teacher.folder
    assert not report.promoted
    assert report.teacher is not None
    assert report.teacher.model == teacher.folder.name
    assert report.teacher.test == teacher.report.test, "the cost stands beside what the teacher reaches"
    assert report.teacher.validation == teacher.report.validation
    assert report.parameters < report.teacher.parameters / 2
    assert report.parts == teacher.report.parts


def test_it_has_learnt(taught):
    user, teacher, (report, _) = taught
    untaught = distill_user(user, teacher.folder, ONE_STEP).report
    assert report.validation.percent < 60 < untaught.validation.percent


def test_the_newest_pupil_of_a_teacher_is_found(taught):
    user, teacher, first = taught
    assert newest_pupil(user, first.folder, "micro") is None
    assert newest_pupil(user, teacher.folder, "tds") is None
    newest = distill_user(user, teacher.folder, ONE_STEP)
    assert newest_pupil(user, teacher.folder, "micro") == newest.folder


def test_nothing_of_the_test_recording_reaches_the_pupil(taught):
    user, teacher, _ = taught
    one = distill_user(user, teacher.folder, ONE_STEP)
    path = user.sessions()[-1]
    content = path.read_bytes()
    write_session(path, toy_session(9, 7))
    other = distill_user(user, teacher.folder, ONE_STEP)
    path.write_bytes(content)
    weights = [(done.folder / "network.safetensors").read_bytes() for done in (one, other)]
    assert weights[0] == weights[1]
    assert one.report.test != other.report.test, "the figure is the other recording's"


def test_a_teacher_that_knows_the_recording_that_tests_is_refused(taught):
    user, teacher, _ = taught
    path = user.sessions()[-1]
    content = path.read_bytes()
    path.unlink()
    slots = user.slots()
    with pytest.raises(BadInput, match="session-0002 only tests now"):
        distill_user(user, teacher.folder, ONE_STEP)
    path.write_bytes(content)
    assert user.slots() == slots
