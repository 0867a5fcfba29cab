import pytest

from edge.files import locked
from personalize import recipe
from personalize.recording import Recording
from personalize.study import Results, cells
from personalize.study_engine import Recordings, run_study, setting_of
from tests.personalize.toys import toy_session

TABLES = ("architectures",)  # three cells
SMALL = {"batch_windows": 2, "window_s": 0.8, "warmup_s": 0.0, "after_s": 0.0}


@pytest.fixture
def read():
    return []


@pytest.fixture
def recordings(read):
    def one(seed):
        def session():
            read.append(seed)
            return toy_session(seed, 3.0)

        return Recording(f"toy-{seed}", f"toy {seed}", session)

    return Recordings((one(0),), (one(1),), (one(2),), simulated=True)


def settings(recordings):
    small = recipe.override(recipe.load("paper"), SMALL)
    return setting_of(recordings, epochs=1, steps_fraction=0.5, seed=0, recipe=small)


def test_a_study_that_is_stopped_goes_on_where_it_was(tmp_path, recordings, read):
    results, setting = Results(tmp_path), settings(recordings)
    wanted = cells(setting, TABLES)
    assert len(wanted) == 3
    begun = []

    def begins(*what):
        begun.append(what[0])
        if len(begun) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(results, setting, TABLES, recordings, begins=begins)
    assert sum(results.find(key) is not None for key in wanted) == 1
    assert run_study(results, setting, TABLES, recordings, begins=begins) == []
    assert begun == [*wanted.values()][:2] + [*wanted.values()][1:]
    assert sorted(read) == [0, 0, 1, 1, 2, 2]  # once a process
    assert run_study(results, setting, TABLES, recordings, begins=begins) == []
    assert len(begun) == 4
    assert sorted(read) == [0, 0, 1, 1, 2, 2]
    found = {key: results.find(key) for key in wanted}
    assert {key: result.cell for key, result in found.items()} == wanted
    assert all(len(result.epochs) == 1 and result.test.length > 0 for result in found.values())
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_cell_that_another_process_is_at_is_left_to_it(tmp_path, recordings):
    results, setting, tables = Results(tmp_path), settings(recordings), TABLES
    first, *_ = keys = list(cells(setting, tables))
    results.path(first).parent.mkdir()
    lock = results.path(first, ".lock")
    lock.touch()
    with locked(lock):
        assert run_study(results, setting, tables, recordings) == [first]
    assert [results.find(key) is None for key in keys] == [True, False, False]
