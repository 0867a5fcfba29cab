import pytest
import torch
from safetensors.torch import save_file

from edge.errors import BadInput
from edge.manifest import sha256_of
from edge.normalize import Prior
from personalize import checkpoint, model
from personalize.networks import NETWORKS
from personalize.train import initial_network


def described(network):
    torch.manual_seed(0)
    prior = Prior(torch.randn(2, 16, 33).numpy(), torch.rand(2, 16, 33).numpy() + 0.1)
    return model.describe(
        network,
        user="ada",
        simulated=True,
        sides={"right", "left"},
        prior=prior if network.frame_input == "normalized" else None,
    )


@pytest.mark.parametrize("name", list(NETWORKS))
def test_weights_come_back_as_they_were(name, tmp_path):
    network = initial_network(name, 1)
    checkpoint.save(tmp_path / "n.safetensors", network)
    found = checkpoint.load(tmp_path / "n.safetensors")
    assert found.name == name
    assert not found.training
    for key, tensor in network.state_dict().items():
        assert torch.equal(found.state_dict()[key], tensor)


def test_half_precision_takes_half_the_room_and_comes_back_as_float32(tmp_path):
    network = initial_network("streaming", 1)
    checkpoint.save(tmp_path / "whole.safetensors", network)
    checkpoint.save(tmp_path / "half.safetensors", network, half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 2_000_000
    assert sizes[0] < 0.51 * sizes[1]
    for key, tensor in checkpoint.load(tmp_path / "half.safetensors").state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, network.state_dict()[key], atol=1e-3, rtol=1e-3)


def test_what_is_not_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "n.safetensors"
    with pytest.raises(BadInput, match="not there"):
        checkpoint.load(path)
    checkpoint.save(path, initial_network("streaming", 1))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadInput, match="safetensors"):
        checkpoint.load(path)
    path.write_bytes(b"")
    with pytest.raises(BadInput, match="safetensors"):
        checkpoint.load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(BadInput, match="no network"):
        checkpoint.load(path)
    save_file({"x": torch.zeros(1)}, path, {"network": "streaming"})
    with pytest.raises(BadInput, match="does not hold"):
        checkpoint.load(path)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_model_is_described_as_it_is(name, tmp_path):
    network = initial_network(name, 1)
    manifest = described(network)
    model.save_model(tmp_path, network, manifest)
    found, read = model.load_model(tmp_path)
    assert read.weights_sha256 == sha256_of(tmp_path / "network.safetensors")
    assert read.model_copy(update={"weights_sha256": None}) == manifest
    assert found.name == read.network == name
    assert read.sides == ("left", "right")
    assert read.form.chunk_frames % read.stride == 0
    assert read.form.whole_window == (name == "spatial_lstm")


def test_the_live_network_is_deployed_in_chunks_of_32_ms_with_its_state():
    manifest = described(initial_network("streaming", 1))
    assert manifest.form.chunk_frames == 4
    assert [(t.name, t.shape) for t in manifest.form.state] == [
        ("past_1", (8, 192)),
        ("past_2", (8, 192)),
        ("h_1", (96,)),
        ("c_1", (96,)),
    ]


def test_a_folder_whose_parts_disagree_is_refused(tmp_path):
    model.save_model(tmp_path, initial_network("streaming", 1), described(initial_network("spatial_lstm", 1)))
    with pytest.raises(BadInput, match="spatial_lstm"):
        model.load_model(tmp_path)


def test_weights_that_were_changed_after_training_are_refused(tmp_path):
    network = initial_network("micro", 1)
    model.save_model(tmp_path, network, described(network))
    with torch.no_grad():
        network.head.bias += 1
    checkpoint.save(tmp_path / checkpoint.FILE_NAME, network)
    with pytest.raises(BadInput, match="is not what was trained"):
        model.load_model(tmp_path)
