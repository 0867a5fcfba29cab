"""The user store: ids that stay inside, slots that are whole, a pointer that never dangles."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.errors import BadInput
from edge.store import User, UserStore, is_user_id

BAD_IDS = [
    "", ".", "..", "../eve", "a/b", "a\\b", "/etc", "-a", "_a", "Ada", "ada\n", "ada ", "ada.b", "a\0b",
    "аda", "con", "nul", "com1", "lpt9", "a" * 33, "~", "a:b", "*",
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> UserStore:
    return UserStore(tmp_path / "home")


def fill_slot(user: User, content: str = "weights") -> int:
    with user.new_slot() as folder:
        (folder / "weights").write_text(content)
    return user.slots()[-1]


@pytest.mark.parametrize("user_id", BAD_IDS)
def test_bad_ids_are_refused_and_touch_nothing(store: UserStore, user_id: str) -> None:
    for action in (store.create, store.user, store.forget):
        with pytest.raises(BadInput, match="cannot be a user id"):
            action(user_id)
    assert not store.root.exists()


@given(st.text(max_size=40))
def test_an_id_is_one_plain_name_or_refused(text: str) -> None:
    if is_user_id(text):
        assert Path(text).name == text == text.lower()
        assert text.isascii()
        assert 1 <= len(text) <= 32


def test_unknown_users_are_told_the_known_ones(store: UserStore) -> None:
    with pytest.raises(BadInput, match=r"no user 'bob' \(known: none\)"):
        store.user("bob")
    store.create("ada")
    store.create("eve-2")
    assert store.users() == ["ada", "eve-2"]
    with pytest.raises(BadInput, match=r"no user 'bob' \(known: ada, eve-2\)"):
        store.user("bob")
    with pytest.raises(BadInput, match="exists already"):
        store.create("ada")


def test_default_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWRIST_HOME", str(tmp_path))
    assert UserStore.default() == UserStore(tmp_path)
    monkeypatch.delenv("QWRIST_HOME")
    assert "qwrist" in UserStore.default().root.parts


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_folders_are_private(store: UserStore) -> None:
    user = store.create("ada")
    user.session_path("one")
    fill_slot(user)
    folders = [store.root, *(p for p in store.root.rglob("*") if p.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def everything(store: UserStore) -> set[Path]:
    return set(store.root.parent.rglob("*"))


def test_reading_makes_nothing(store: UserStore) -> None:
    assert store.users() == []
    with pytest.raises(BadInput, match="no user"):
        store.user("ada")
    assert everything(store) == set()
    store.create("ada")
    (store.root / "users" / "eve").mkdir()  # with nothing in it
    before = everything(store)
    for user_id in store.users():
        user = store.user(user_id)
        assert user.sessions() == user.journals() == user.slots() == []
        assert user.current() is None
        user.session_path("one")
        with pytest.raises(BadInput, match="no model 1"):
            user.slot(1)
    assert everything(store) == before
    eve = store.user("eve")
    eve.session_path(eve.new_session_name()).touch()
    assert fill_slot(eve) == 1


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for store in (UserStore(tmp_path / "file"), UserStore(tmp_path / "file" / "home")):
        with pytest.raises(BadInput, match=r"cannot be used \(.*\); .*QWRIST_HOME"):
            store.create("ada")
        with pytest.raises(BadInput, match=r"cannot be used \(.*\); .*QWRIST_HOME"):
            store.users()


@pytest.mark.parametrize("refused", ["mkdir", "iterdir"])
def test_a_home_without_rights_is_one_sentence(
    store: UserStore, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    user = store.create("ada")

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, refused, refuse)
        actions = {
            "mkdir": [lambda: store.create("eve"), user.new_session_name, lambda: fill_slot(user)],
            "iterdir": [store.users, user.sessions, user.journals, user.slots],
        }
        for action in actions[refused]:
            with pytest.raises(BadInput, match=r"cannot be used \(Permission denied\)"):
                action()


@pytest.mark.parametrize("name", ["two words.hdf5", "nul.hdf5", "é.journal"])
def test_a_session_that_could_not_be_named_is_not_listed_either(store: UserStore, name: str) -> None:
    user = store.create("ada")
    (user.path / "sessions" / name).touch()
    listed = user.sessions if name.endswith("hdf5") else user.journals
    with pytest.raises(BadInput, match=r"no session can have; rename it: use letters"):
        listed()


def test_what_fails_while_a_slot_is_filled_stays_what_it_is(store: UserStore) -> None:
    user = store.create("ada")

    def fill() -> None:
        with user.new_slot():
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fill()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_out_of_the_store_are_refused(store: UserStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sessions").mkdir(parents=True)
    user = store.create("ada")
    (store.root / "users" / "eve").symlink_to(outside)
    with pytest.raises(BadInput, match="is a link"):
        store.user("eve")
    with pytest.raises(BadInput, match="is a link"):
        store.forget("eve")
    assert outside.exists()
    (user.path / "sessions").rmdir()
    (user.path / "sessions").symlink_to(outside / "sessions")
    for action in (user.sessions, lambda: user.session_path("one")):
        with pytest.raises(BadInput, match="is a link"):
            action()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_linked_session_is_refused(store: UserStore, tmp_path: Path) -> None:
    user = store.create("ada")
    (tmp_path / "secret").write_text("secret")
    user.session_path("one").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput, match="is a link"):
        user.sessions()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "nul", "NUL.x", "a\0", "a\n", "x" * 129])
def test_bad_session_names_are_refused(store: UserStore, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a session"):
        store.create("ada").session_path(name)


def test_sessions_are_listed_oldest_first_without_temporaries(store: UserStore) -> None:
    user = store.create("ada")
    for n in (2, 10, 1):
        user.session_path(f"session-{n:04d}").touch()
    user.session_path("session-0011").with_suffix(".journal").touch()
    user.session_path("session-0001").with_name(".session-0012.hdf5.x").touch()
    assert [p.stem for p in user.sessions()] == ["session-0001", "session-0002", "session-0010"]
    assert [p.stem for p in user.journals()] == ["session-0011"]
    assert user.new_session_name() == "session-0012"


def test_emg2qwertys_names_can_be_kept(store: UserStore) -> None:
    name = "2021-06-02-1622682789-keystrokes-dca-study@1-0efbe614-9ae6-4131-9192-4398359b4f5f"
    assert store.create("ada").session_path(name).name == name + ".hdf5"


def test_a_slot_is_whole_or_absent(store: UserStore) -> None:
    user = store.create("ada")
    with pytest.raises(KeyboardInterrupt):
        interrupted_slot(user)
    assert user.slots() == []
    assert list((user.path / "models").iterdir()) == []
    assert fill_slot(user) == 1
    assert (user.slot(1) / "weights").read_text() == "weights"


def interrupted_slot(user: User) -> None:
    with user.new_slot() as folder:
        (folder / "weights").write_text("half")
        assert user.slots() == []
        raise KeyboardInterrupt


def test_messages_for_missing_models(store: UserStore) -> None:
    user = store.create("ada")
    assert user.current() is None
    with pytest.raises(BadInput, match="no earlier model"):
        user.rollback()
    with pytest.raises(BadInput, match="personalize --user ada"):
        user.promote(1)
    fill_slot(user)
    with pytest.raises(BadInput, match=r"no model 7 \(models: 1\)"):
        user.promote(7)
    user.promote(1)
    with pytest.raises(BadInput, match="no earlier model"):
        user.rollback()


def test_promoting_the_current_model_again_changes_nothing(store: UserStore) -> None:
    user = store.create("ada")
    for _ in range(2):
        user.promote(fill_slot(user))
    user.promote(2)
    assert user.current() == user.slot(2)
    assert user.rollback() == user.slot(1)


def test_a_damaged_pointer_is_named(store: UserStore) -> None:
    user = store.create("ada")
    fill_slot(user)
    user.promote(1)
    (user.path / "models" / "current.json").write_text('{"history": []}')
    with pytest.raises(BadInput, match=r"current\.json is damaged"):
        user.current()


def test_forget_leaves_nothing_of_the_user_and_all_of_the_others(store: UserStore) -> None:
    ada, eve = store.create("ada"), store.create("eve")
    for user in (ada, eve):
        user.session_path("one").write_bytes(b"x" * 10)
        user.session_path("two").with_suffix(".journal").write_bytes(b"x" * 5)
        fill_slot(user)
        user.promote(1)
    forgotten = store.forget("ada")
    assert forgotten.files == 4
    assert forgotten.bytes >= 10 + 5 + len("weights")
    assert any("backups" in place for place in forgotten.beyond_reach)
    assert not [p for p in store.root.rglob("*") if "ada" in str(p.relative_to(store.root))]
    assert store.users() == ["eve"]
    assert eve.current() == eve.slot(1)


class Slots(RuleBasedStateMachine):
    """Any sequence of new models, promotions and rollbacks, against a list."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.user = UserStore(Path(self.folder.name)).create("ada")
        self.made: list[int] = []
        self.history: list[int] = []

    @rule()
    def make(self) -> None:
        number = fill_slot(self.user)
        assert number == len(self.made) + 1
        self.made.append(number)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.made))
        self.user.promote(number)
        self.history = [n for n in self.history if n != number] + [number]

    @precondition(lambda self: len(self.history) > 1)
    @rule()
    def rollback(self) -> None:
        self.history.pop()
        assert self.user.rollback() == self.user.slot(self.history[-1])

    @invariant()
    def current_is_the_last_promoted(self) -> None:
        expected = self.user.slot(self.history[-1]) if self.history else None
        assert self.user.current() == expected
        assert self.user.slots() == self.made

    def teardown(self) -> None:
        self.folder.cleanup()


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
