import multiprocessing
import os

from personalize.many.job import Failed, Job, Refused, UpToDate
from personalize.many.local import run
from tests.personalize.many.people import order
from tests.personalize.many.planted import DOOMED, deadly_work, telling_work


def named(tmp_path, *names):
    return [Job(user=name, store=tmp_path, order=order()) for name in names]


def test_every_job_is_done_once_by_as_many_processes_as_asked(tmp_path):
    asked = named(tmp_path, *(f"u{n}" for n in range(9)))
    done = list(run(asked, 2, deadly_work))
    assert sorted(job.user for job, _ in done) == [job.user for job in asked]
    processes = {outcome.model for _, outcome in done if isinstance(outcome, UpToDate)}
    assert os.getpid() not in processes
    assert len(processes) == 2


def test_a_process_that_dies_costs_its_own_job_alone(tmp_path):
    names = ["u0", f"{DOOMED}1", "u2", f"{DOOMED}3", "u4"]
    done = {job.user: outcome for job, outcome in run(named(tmp_path, *names), 1, deadly_work)}
    assert list(done) == names
    for name, outcome in done.items():
        assert isinstance(outcome, Failed if name.startswith(DOOMED) else UpToDate)
    assert "exit code 7" in done[f"{DOOMED}1"].reason
    assert done["u0"].model != done["u2"].model


def test_each_process_has_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert [outcome for _, outcome in run(named(tmp_path, "u"), 1, telling_work)] == [Refused(reason="1")]
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_whoever_stops_listening_stops_the_processes(tmp_path):
    outcomes = run(named(tmp_path, *(f"u{n}" for n in range(9))), 2, deadly_work)
    next(outcomes)
    assert multiprocessing.active_children()
    outcomes.close()
    assert not multiprocessing.active_children()
