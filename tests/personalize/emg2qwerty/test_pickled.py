import contextlib
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from personalize.emg2qwerty import pickled
from personalize.emg2qwerty.pickled import UnsafeCheckpoint, read_program, read_weights
from tests.personalize.emg2qwerty.checkpoints import write_checkpoint


class Evil:
    """What a malicious checkpoint holds: unpickling it runs a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(5)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.ckpt"


def test_weights_come_out_as_they_went_in_and_in_order(path):
    base = torch.arange(24.0).reshape(4, 6)
    weights = {
        "z": base.t(),
        "a": base[1:, 2:4],
        "half": base.half(),
        "double": torch.nn.Parameter(base.double()),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
    }
    found = read_weights(write_checkpoint(path, weights))
    assert list(found) == list(weights)
    for name, tensor in weights.items():
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())
        assert found[name].dtype == tensor.detach().numpy().dtype


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_binary_protocol_is_read(path, protocol):
    torch.save({"state_dict": WEIGHTS}, path, pickle_protocol=protocol)
    np.testing.assert_array_equal(read_weights(path)["a.weight"], WEIGHTS["a.weight"])


@pytest.mark.parametrize("place", ["state_dict", "hyper_parameters", "evil"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_malicious_pickle_never_runs(tmp_path, path, place, protocol):
    witness = tmp_path / "it-ran"
    evil = Evil(f"touch {witness}")
    content = {"state_dict": dict(WEIGHTS)}
    content[place] = {**content.get(place, {}), "x": evil}
    torch.save(content, path, pickle_protocol=protocol)
    with pytest.raises(UnsafeCheckpoint, match=f"{os.system.__module__}.system"):
        read_weights(path)
    assert not witness.exists()
    pickle.loads(pickle.dumps(evil, protocol))
    assert witness.exists()  # the planted fault is a real one


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02cbuiltins\ngetattr\n.",
        b"\x80\x02cnumpy.testing._private.utils\nrunstring\nX\x01\x00\x00\x001}\x86R.",
        b"\x80\x02\x82\x01.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
        b"\x80\x02ctorch\nload\n.",
    ],
)
def test_programs_that_would_run_something_describe_nothing(program):
    try:
        found = read_program(program)
    except (UnsafeCheckpoint, BadInput):
        return
    assert type(found).__name__ == "_Opaque"  # numpy's name was noted, and nothing was called


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused_in_a_sentence_or_is_plain(program):
    with contextlib.suppress(BadInput):
        read_program(program)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_program_is_refused_in_a_sentence_or_is_plain(data):
    program = bytearray(pickle.dumps({"a": [1, 2.5, None, ("b", True)], "c": {"d": "e" * 20}}, 4))
    for _ in range(data.draw(st.integers(1, 3))):
        program[data.draw(st.integers(0, len(program) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadInput):
        read_program(bytes(program))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
        max_leaves=20,
    ),
    st.integers(2, 5),
)
def test_plain_values_are_what_pickle_says_they_are(value, protocol):
    assert read_program(pickle.dumps(value, protocol)) == value


def rewrite(path, name, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry, old in entries.items():
            archive.writestr(entry, content if entry.endswith(name) else old)


def test_a_tensor_beyond_its_storage_is_refused(path):
    rewrite(write_checkpoint(path, WEIGHTS), "data/0", b"\0" * 8)
    with pytest.raises(BadInput, match=r"a\.weight reaches beyond"):
        read_weights(path)


def test_a_tensor_that_repeats_its_storage_without_end_is_refused(path):
    write_checkpoint(path, {"x": torch.zeros(1).expand(1000, 1000)})
    with pytest.raises(BadInput, match="reaches beyond"):
        read_weights(path)


def test_compressed_entries_are_refused_unread(path):
    rewrite(write_checkpoint(path, WEIGHTS), "data/0", b"\0" * 2**20, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="compressed"):
        read_weights(path)


def test_too_large_a_storage_is_refused_unread(path, monkeypatch):
    monkeypatch.setattr(pickled, "_LARGEST_STORAGE", 23)
    with pytest.raises(BadInput, match="longer than 23 bytes"):
        read_weights(write_checkpoint(path, WEIGHTS))


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x05\x06" + b"\0" * 18]
)
def test_what_is_no_checkpoint_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(BadInput):
        read_weights(path)


def test_a_checkpoint_without_weights_is_refused(path):
    torch.save({"epoch": 3}, path)
    with pytest.raises(BadInput, match="state_dict"):
        read_weights(path)
    torch.save({"state_dict": {"a": 3}}, path)
    with pytest.raises(BadInput, match="no tensor"):
        read_weights(path)


def test_a_weight_that_is_an_opaque_thing_is_refused(path):
    torch.save({"state_dict": {"a": np.zeros(3)}}, path)
    with pytest.raises(BadInput):
        read_weights(path)
