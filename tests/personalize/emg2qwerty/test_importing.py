import numpy as np
import pytest
import torch

from edge.errors import BadInput
from personalize.checkpoint import parameter_count
from personalize.emg2qwerty import importing
from personalize.emg2qwerty.importing import KINDS, import_checkpoint, max_delta, modules_of, taken_over
from personalize.networks import build
from tests.personalize.emg2qwerty.checkpoints import published, state_dict, write_checkpoint

NETWORKS = {kind: published(kind) for kind in KINDS}
COUNTS = {"tds": 5_293_315, "tds_spatial": 5_285_219, "spatial_lstm": 2_909_187}


def arrays(kind):
    return {name: tensor.numpy() for name, tensor in state_dict(NETWORKS[kind]).items()}


@pytest.mark.parametrize("kind", KINDS)
def test_each_network_is_told_by_its_shapes_and_comes_over_exactly(kind):
    imported = taken_over(arrays(kind))
    assert imported.network.name == kind
    assert imported.parameters == COUNTS[kind] == parameter_count(build(kind))
    assert 0 < imported.max_delta < 1e-4
    for name, tensor in NETWORKS[kind].state_dict().items():
        assert torch.equal(imported.network.state_dict()[name], tensor), name
    assert imported.norm_mean == pytest.approx(float(NETWORKS[kind].norm.norm.running_mean.mean()))


@pytest.mark.parametrize("kind", KINDS)
def test_names_do_not_matter_and_order_does(kind):
    weights = arrays(kind)
    renamed = {f"net.{name.replace('model', 'm')}": array for name, array in weights.items()}
    assert taken_over(renamed).network.name == kind
    left = [name for name in weights if ".mlps.0." in name]
    moved = {name: array for name, array in weights.items() if name not in left}
    moved |= {name: weights[name] for name in left}
    assert not torch.equal(
        taken_over(moved).network.front.mlps[0].weight, NETWORKS[kind].front.mlps[0].weight
    )


CHANGES = {
    "tds": ["blocks.0.conv.weight", "blocks.3.mlp.norm.bias", "front.mlps.1.weight", "norm.norm.running_var"],
    "tds_spatial": ["front.spatial.conv.weight", "front.spatial.project.bias", "blocks.1.norm.weight"],
    "spatial_lstm": [
        "lstm.weight_hh_l3_reverse",
        "lstm.bias_ih_l0",
        "widen.weight",
        "head.bias",
        "mlp.inner.weight",
    ],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CHANGES for name in CHANGES[kind]])
def test_the_second_evaluation_sees_every_part(kind, name):
    """A number lost on the way over shows in |delta log p|: else the proof proves nothing."""
    network = published(kind)
    with torch.no_grad():
        network.state_dict()[name].mul_(1.5).add_(0.1)
    assert max_delta(network, modules_of(arrays(kind))) > 10 * importing._TOLERANCE


def test_a_network_that_says_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(importing, "plain_emissions", lambda *_: np.zeros((36, 99)))
    with pytest.raises(BadInput, match="something else"):
        taken_over(arrays("tds"))
    monkeypatch.undo()
    weights = arrays("tds")
    weights["model.4.bias"] = np.full_like(weights["model.4.bias"], np.nan)
    with pytest.raises(BadInput, match="nan"):
        taken_over(weights)


def test_other_networks_are_refused():
    weights = arrays("tds")
    with pytest.raises(BadInput, match="none of tds"):
        taken_over({name: array for name, array in weights.items() if ".conv2d." not in name})
    with pytest.raises(BadInput, match="none of tds"):
        taken_over(weights | {"model.5.weight": np.zeros((2, 2), np.float32)})


def test_a_lightning_checkpoint_is_taken_over_through_a_process_of_its_own(tmp_path):
    kind = "tds_spatial"
    path = write_checkpoint(tmp_path / "generic.ckpt", state_dict(NETWORKS[kind]))
    imported = import_checkpoint(path)
    for name, tensor in NETWORKS[kind].state_dict().items():
        assert torch.equal(imported.network.state_dict()[name], tensor), name
