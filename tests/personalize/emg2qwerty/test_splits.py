import csv

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from personalize.emg2qwerty import splits
from personalize.emg2qwerty.splits import HELD_OUT, PAPER_USER, Listed
from tests.edge.making import shared_data
from tests.personalize.emg2qwerty.making import PAPER_STARTS, name_of

PAPER = [Listed(PAPER_USER, name_of(start)) for start in PAPER_STARTS]

people = st.dictionaries(
    st.sampled_from((*HELD_OUT[:3], "1", "22", "333", PAPER_USER)),
    st.sets(st.integers(1_500_000_000, 1_700_000_000), min_size=1, max_size=8),
    min_size=1,
)


def listed(of_user):
    return [Listed(user, f"{name_of(start)}-{user}") for user, starts in of_user.items() for start in starts]


def write(path, train=("a",), val=("b",), test=("c",), user=9456349):
    entries = {
        part: [{"user": user, "session": name} for name in names]
        for part, names in (("train", train), ("val", val), ("test", test))
    }
    path.write_text("# @package _global_\n" + yaml.safe_dump({"user": "generic", "dataset": entries}))
    return path


@given(people)
def test_the_generic_rule_tests_on_nobody_whom_it_trains_on(of_user):
    everything = listed(of_user)
    split = splits.generic_by_rule(everything)
    assert not split.training_users & set(HELD_OUT)
    assert {one.user for one in split.test} <= set(HELD_OUT)
    assert len(set(split.sessions)) == len(split.sessions)
    assert split.training_users == {u for u, s in of_user.items() if len(s) >= 4 and u not in HELD_OUT}
    for user in split.training_users:
        latest = sorted(of_user[user])[-2:]
        assert sorted(splits.started(one.session) for one in split.validation if one.user == user) == latest


def test_the_papers_split_is_the_published_one_of_its_person():
    split = splits.single_user(PAPER)
    assert [splits.started(one.session) for one in split.train[:2]] == [1622765527, 1622681518]
    assert len(split.train) == 16
    assert splits.started(split.validation[0].session) == 1622862148
    assert splits.started(split.test[0].session) == 1622682789
    assert splits.single_user(PAPER, 13).train == split.train[:13]


def test_the_papers_recordings_are_those_of_the_manifest():
    with shared_data("typing/user89335547_hdf5_sha256.csv").open() as file:
        names = [row["session_file"] for row in csv.DictReader(file)]
    assert sorted(map(splits.started, names)) == sorted(PAPER_STARTS)


@pytest.mark.parametrize("sessions", [0, 17])
def test_the_paper_has_no_other_number_of_recordings(sessions):
    with pytest.raises(BadInput, match="1 to 16"):
        splits.single_user(PAPER, sessions)


def test_a_missing_recording_of_the_paper_is_named():
    with pytest.raises(BadInput, match=r"1 of the 18 .* 1622682789"):
        splits.single_user(PAPER[:-1])


def test_published_splits_are_read_with_ids_as_they_compare(tmp_path):
    split = splits.read_split(write(tmp_path / "generic.yaml"))
    assert split.train == (Listed("9456349", "a"),)
    assert split.training_users == {splits.user_id("09456349")}


def test_a_published_file_goes_before_the_rule(tmp_path):
    (tmp_path / "config" / "user").mkdir(parents=True)
    data = tmp_path / "data"
    data.mkdir()
    assert "rule" in splits.find_split("generic", data, PAPER).source
    write(tmp_path / "config" / "user" / "generic.yaml")
    assert splits.find_split("generic", data, PAPER).train[0].session == "a"
    with pytest.raises(BadInput, match=r"no user0\.yaml"):
        splits.find_split("user0", data, PAPER)
    assert splits.find_split("single_user", data, PAPER).name == "single_user"


def test_what_trains_must_not_test(tmp_path):
    with pytest.raises(BadInput, match="names a twice"):
        splits.read_split(write(tmp_path / "x.yaml", test=("a",)))


@pytest.mark.parametrize("content", [b"\xff", b"[", b"user: 3", b"user: x\ndataset: {train: [{user: 1}]}"])
def test_a_file_that_is_no_split_is_refused(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.yaml"):
        splits.read_split(tmp_path / "x.yaml")
