from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.session import write_session
from edge.store import UserStore
from personalize import recipe
from personalize.fit import personalize_user
from personalize.rehearsal import EXCERPT_S, briefly, excerpt, rehearsal_user
from tests.personalize.toys import toy_session

LONG = toy_session(0, 30)


@given(st.floats(0, 20))
def test_an_excerpt_begins_where_there_is_something_to_learn(silent_s):
    begin_s = LONG.time_s[0] + silent_s
    session = replace(LONG, keys=tuple(k for k in LONG.keys if k.press_s >= begin_s), prompts=())
    short = excerpt(session)
    assert 0 < short.duration_s <= EXCERPT_S
    assert session.keys[0] in short.keys
    assert all(short.time_s[0] <= key.press_s <= short.time_s[-1] for key in short.keys)


def test_a_prompt_is_never_cut_where_prompts_are_all_there_is():
    prompted = toy_session(0, 30, on_keyboard=False)
    assert prompted.prompts[0] in excerpt(prompted, seconds=1.0).prompts


@pytest.mark.parametrize("on_keyboard", [True, False], ids=["keys", "prompts"])
def test_every_stage_runs_on_the_stand_in_and_nothing_is_left(tmp_path, on_keyboard):
    user = UserStore(tmp_path).create("ada")
    for seed in (0, 1):
        session = toy_session(seed, 30, on_keyboard=on_keyboard)
        write_session(user.session_path(user.new_session_name()), session)
    with rehearsal_user(user) as stand_in:
        done = personalize_user(stand_in, briefly(recipe.load("streaming")), least_s=1.0)
        assert done.report.steps == 2
        assert done.folder.is_dir()
    assert not stand_in.path.exists()
    assert user.slots() == []
