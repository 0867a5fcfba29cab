import os

import pytest
import torch

from edge.errors import BadInput
from personalize.emg2qwerty.pickled import UnsafeCheckpoint
from personalize.emg2qwerty.reading import read_in_child
from tests.personalize.emg2qwerty.checkpoints import write_checkpoint
from tests.personalize.emg2qwerty.test_pickled import Evil


def test_order_survives_the_way_between_processes(tmp_path):
    weights = {name: torch.full((2,), float(i)) for i, name in enumerate(["z b", "a", "m"])}
    found = read_in_child(write_checkpoint(tmp_path / "x.ckpt", weights))
    assert [(name, float(array[0])) for name, array in found.items()] == [("z b", 0), ("a", 1), ("m", 2)]


def test_a_malicious_file_is_named_and_runs_in_neither_process(tmp_path):
    witness, path = tmp_path / "it-ran", tmp_path / "x.ckpt"
    torch.save({"state_dict": {"a": Evil(f"touch {witness}")}}, path)
    with pytest.raises(UnsafeCheckpoint, match=rf"x\.ckpt .* {os.system.__module__}\.system"):
        read_in_child(path)
    assert not witness.exists()


def test_a_damaged_or_absent_file_is_a_sentence(tmp_path):
    path = tmp_path / "x.ckpt"
    with pytest.raises(BadInput, match="not there"):
        read_in_child(path)
    path.write_bytes(b"PK")
    with pytest.raises(BadInput, match="whole checkpoint"):
        read_in_child(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
def test_memory_is_bounded(tmp_path):
    path = write_checkpoint(tmp_path / "x.ckpt", {"a": torch.zeros(2**22)})
    assert read_in_child(path)["a"].shape == (2**22,)
    with pytest.raises(BadInput, match="was not read within"):
        read_in_child(path, memory_bytes=2**20)
