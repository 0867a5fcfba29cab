import os
from dataclasses import replace
from pathlib import Path

from edge.session import write_session
from edge.store import User
from personalize import base
from personalize.many.key import job_key
from personalize.train import initial_network
from tests.personalize.many.people import BARELY, order, people
from tests.personalize.toys import toy_session


def ada(root: Path) -> User:
    return people(root, ["ada"], seconds=5.0).user("ada")


def test_a_key_is_of_the_recordings_contents_and_of_nothing_else_about_them(tmp_path):
    user = ada(tmp_path / "here")
    key = job_key(user, order())
    first = user.sessions()[0]
    os.utime(first, (0, 0))
    assert job_key(user, order()) == key
    assert job_key(ada(tmp_path / "elsewhere"), order()) == key
    was = first.read_bytes()
    first.unlink()
    write_session(first, replace(toy_session(9, 5.0), user="ada"))
    assert job_key(user, order()) != key
    first.write_bytes(was)
    assert job_key(user, order()) == key
    first.rename(first.with_stem("session-0009"))  # the last recording is the test
    assert job_key(user, order()) != key


def test_whatever_is_asked_is_part_of_the_key_but_not_how(tmp_path):
    user = ada(tmp_path)
    onward = BARELY.model_copy(update={"steps": 2})
    scratch = BARELY.model_copy(update={"start": "scratch"})
    others = [order(), order(seed=1), order(recipe=onward), order(recipe=scratch), order(code="another")]
    assert len({job_key(user, other) for other in others}) == len(others)
    assert job_key(user, order(dry_run=True)) == job_key(user, order())


def test_the_base_is_part_of_the_key_where_it_is_started_from(tmp_path):
    user = ada(tmp_path / "store")
    network = initial_network(BARELY.network, seed=3)
    card = base.imported_card(network, command="made here", people=())
    base.write(network, card, tmp_path / "base")
    other = {"base_folder": tmp_path / "base"}
    assert job_key(user, order(**other)) != job_key(user, order())
    scratch = BARELY.model_copy(update={"start": "scratch"})
    assert job_key(user, order(recipe=scratch, **other)) == job_key(user, order(recipe=scratch))
