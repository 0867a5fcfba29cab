"""The keys folder: private, made once, and a counter that never goes back."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.signing import SigningKey
from edge.trust import OWN, Lineage, TrustStore

ADA = Lineage(key="a" * 64, user="ada", target="phone")
OTHERS = (
    Lineage(key="b" * 64, user="ada", target="phone"),
    Lineage(key="a" * 64, user="eve", target="phone"),
    Lineage(key="a" * 64, user="ada", target="mcu"),
)


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "home" / "keys")


def test_reading_makes_nothing(trust: TrustStore) -> None:
    assert trust.trusted() == ()
    assert trust.highest(ADA) == 0
    assert trust.forget_user("ada") == 0
    assert not trust.root.exists()


def test_our_own_key_is_made_once_and_trusted(trust: TrustStore) -> None:
    key = trust.signing_key()
    assert trust.signing_key().raw == key.raw
    assert TrustStore(trust.root).signing_key().raw == key.raw
    assert [(one.name, one.key) for one in trust.trusted()] == [(OWN, key.public)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_everything_is_private(trust: TrustStore) -> None:
    trust.signing_key()
    trust.remember(ADA, 1)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in trust.root.rglob("*")}
    assert modes == {True: 0o700, False: 0o600}
    assert stat.S_IMODE(trust.root.stat().st_mode) == 0o700


def test_a_damaged_key_is_not_replaced(trust: TrustStore) -> None:
    trust.signing_key()
    (trust.root / "signing.pem").write_bytes(b"")
    with pytest.raises(BadInput, match=r"signing\.pem is not an Ed25519 signing key"):
        trust.signing_key()
    assert (trust.root / "signing.pem").read_bytes() == b""


def test_keys_of_others_have_names(trust: TrustStore) -> None:
    own, eve, mallory = trust.signing_key(), SigningKey.generate(), SigningKey.generate()
    trust.trust("eve", eve.public)
    trust.trust("eve", eve.public)
    assert {one.name: one.key for one in trust.trusted()} == {OWN: own.public, "eve": eve.public}
    with pytest.raises(BadInput, match="is another key"):
        trust.trust("eve", mallory.public)
    for name in (OWN, "", "..", "a/b", "A", "a" * 33, "a.b", "a\n"):
        with pytest.raises(BadInput, match="cannot name a key"):
            trust.trust(name, mallory.public)
    assert len(trust.trusted()) == 2


def test_a_file_that_is_no_key_is_named(trust: TrustStore) -> None:
    trust.signing_key()
    (trust.root / "trusted" / "eve.pem").write_bytes(b"nonsense")
    with pytest.raises(BadInput, match=r"eve\.pem is not an Ed25519 public key"):
        trust.trusted()


@settings(max_examples=20, deadline=None)
@given(counters=st.lists(st.integers(1, 9), max_size=12))
def test_a_counter_never_goes_back(tmp_path_factory: pytest.TempPathFactory, counters: list[int]) -> None:
    trust = TrustStore(tmp_path_factory.mktemp("keys"))
    highest = 0
    for counter in counters:
        assert trust.remember(ADA, counter) == (counter >= highest)
        highest = max(highest, counter)
        assert TrustStore(trust.root).highest(ADA) == highest
    assert all(trust.highest(other) == 0 for other in OTHERS)
    assert trust.next_counter(ADA) == highest + 1
    assert trust.next_counter(ADA) == highest + 2
    assert trust.highest(ADA) == highest  # what was given is not used yet
    assert trust.remember(ADA, highest + 9)
    assert trust.next_counter(ADA) == highest + 10


def test_forgetting_a_user_leaves_the_others(trust: TrustStore) -> None:
    for lineage in (ADA, *OTHERS):
        trust.remember(lineage, 7)
    assert trust.forget_user("ada") == 3
    assert [trust.highest(one) for one in (ADA, *OTHERS)] == [0, 0, 7, 0]
    assert b"ada" not in (trust.root / "counters.json").read_bytes()


@pytest.mark.parametrize("content", ["{", '{"schema_version": 2}', '{"schema_version": 1, "counts": [{}]}'])
def test_a_damaged_record_is_not_taken_for_an_empty_one(trust: TrustStore, content: str) -> None:
    trust.remember(ADA, 3)
    (trust.root / "counters.json").write_text(content)
    with pytest.raises(BadInput, match="is not a record of bundle counters"):
        trust.highest(ADA)
    with pytest.raises(BadInput, match="is not a record of bundle counters"):
        trust.next_counter(ADA)


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "keys").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(BadInput, match="is a link"):
        TrustStore(tmp_path / "keys").signing_key()


_TAKE = """
import sys
from pathlib import Path
from edge.trust import Lineage, TrustStore
trust = TrustStore(Path(sys.argv[1]))
for _ in range(20):
    print(trust.next_counter(Lineage(key="a" * 64, user="ada", target="phone")))
"""


def test_two_processes_never_get_the_same_counter(trust: TrustStore) -> None:
    takers = [
        subprocess.Popen([sys.executable, "-c", _TAKE, str(trust.root)], stdout=subprocess.PIPE) for _ in "ab"
    ]
    taken = [int(n) for taker in takers for n in taker.communicate()[0].split()]
    assert sorted(taken) == list(range(1, 41))
