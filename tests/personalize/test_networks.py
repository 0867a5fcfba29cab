from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from edge.charset import CHARSET
from edge.errors import BadInput
from personalize import spec, spec_numpy
from personalize.checkpoint import parameter_count
from personalize.geometry import Geometry
from personalize.networks import NETWORKS, build, streamed
from personalize.networks.blocks import BandMlp, CircularSpatialConv
from personalize.networks.streaming import Streaming

NAMES = list(NETWORKS)
PARAMETERS = {
    "streaming": 907_747,
    "micro": 299_971,
    "spatial_lstm": 2_909_187,
    "tds": 5_293_315,
    "tds_spatial": 5_285_219,
}


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    built = {name: build(name).eval() for name in NAMES}
    for network in built.values():  # batch norms away from the identity, heads loud enough to choose keys
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
    return built


def frames(count, seed=0):
    return torch.randn(1, count, 2, 16, 33, generator=torch.Generator().manual_seed(seed))


def run(network, x, state=None):
    with torch.inference_mode():
        return network(x, network.initial_state(1) if state is None else state)


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_are_the_papers(name, networks):
    assert parameter_count(networks[name]) == PARAMETERS[name]


def test_unknown_networks_are_refused():
    with pytest.raises(BadInput, match="spatial_lstm"):
        build("conformer")


@pytest.mark.parametrize("name", NAMES)
def test_declared_context_and_stride_give_the_number_of_emissions(name, networks):
    network = networks[name]
    for count in (130, 136):
        out, _ = run(network, frames(count))
        assert out.shape == (
            1,
            (count - network.left_context - network.lookahead) // network.stride,
            CHARSET.num_classes,
        )
        torch.testing.assert_close(out.exp().sum(-1), torch.ones(out.shape[:2]))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "spatial_lstm"])
@settings(max_examples=8, deadline=None)
@given(change=st.integers(0, 159))
def test_an_emission_sees_its_declared_frames_and_no_later_ones(name, networks, change):
    network = networks[name]
    x = frames(160)
    changed = x.clone()
    changed[:, change] += 1
    before, after = run(network, x)[0], run(network, changed)[0]
    differs = (before != after).any(-1)[0]
    # Emission k is made of frames k * stride .. k * stride + left_context + lookahead + stride - 1.
    last = torch.arange(len(differs)) * network.stride
    last = last + network.left_context + network.lookahead + network.stride - 1
    assert not differs[last < change].any()
    assert differs[last >= change][0], "the first emission that may see the frame does see it"


def test_the_bidirectional_network_reads_both_ways(networks):
    x = frames(40)
    changed = x.clone()
    changed[:, 20] += 1
    differs = (run(networks["spatial_lstm"], x)[0] != run(networks["spatial_lstm"], changed)[0]).any(-1)[0]
    assert differs[0] and differs[-1]
    assert networks["spatial_lstm"].bidirectional


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 39), max_size=5, unique=True))
def test_streaming_in_chunks_equals_streaming_at_once(networks, cuts):
    network, x = networks["streaming"], frames(80)
    whole, end = run(network, x)
    state, parts = network.initial_state(1), []
    edges = [0, *(2 * c for c in sorted(cuts)), 80]
    for start, stop in pairwise(edges):
        out, state = run(network, x[:, start:stop], state)
        parts.append(out)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)
    for chunked, at_once in zip(state, end, strict=True):
        torch.testing.assert_close(chunked, at_once, atol=1e-5, rtol=0)


def test_the_state_is_named_and_starts_at_zero(networks):
    network = networks["streaming"]
    state = network.initial_state(3)
    assert [tuple(s.shape) for s in state] == [(3, 8, 192), (3, 8, 192), (3, 96), (3, 96)]
    assert len(network.state_names) == len(state)
    assert not any(s.any() for s in state)


@pytest.mark.parametrize("offsets", [(0,), (-1, 0, 1)])
def test_the_composed_front_equals_its_parts_run_one_by_one(offsets):
    torch.manual_seed(1)
    spatial = CircularSpatialConv(33, 32)
    front = BandMlp(33, 24, offsets, spatial)
    x = frames(6)
    expected = []
    for wrist, mlp in enumerate(front.mlps):
        projected = spatial.project(x[0, :, wrist])  # (T, E, S)
        padded = functional.pad(projected.transpose(1, 2), (1, 1), mode="circular")
        mixed = functional.conv1d(padded, spatial.conv.weight, spatial.conv.bias).transpose(1, 2)  # (T, E, S)
        rolled = [functional.relu(mlp(mixed.roll(offset, 1).flatten(1))) for offset in offsets]
        expected.append(torch.stack(rolled).mean(0))
    torch.testing.assert_close(front(x)[0], torch.cat(expected, -1), atol=2e-5, rtol=1e-5)


BANDS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 17, 22, 27, 33)


def test_bands_see_the_means_of_their_bins_and_nothing_else():
    torch.manual_seed(1)
    network = Streaming(bands=BANDS).eval()
    x = frames(8)
    pooled = torch.cat(
        [x[..., a:b].mean(-1, keepdim=True).expand(*x.shape[:-1], b - a) for a, b in pairwise(BANDS)], -1
    )
    changed = run(network, pooled)[0]
    torch.testing.assert_close(run(network, x)[0], changed, atol=1e-5, rtol=0)
    assert not torch.allclose(changed, run(network, x.roll(6, -1))[0], atol=1e-3)
    np.testing.assert_allclose(spec_numpy.run(network.spec(), x[0].numpy()), changed[0].numpy(), atol=2e-5)


def test_a_networks_own_label_delay_is_the_geometrys():
    assert Geometry.of(Streaming(label_delay=16)).label_delay == 16
    assert Geometry.of(Streaming()).label_delay == 12


def test_rolling_both_rings_leaves_rotation_invariant_sums_in_place():
    # With every rotation averaged, a rolled ring gives the same features.
    torch.manual_seed(2)
    front = BandMlp(33, 8, range(16), None)
    x = frames(4)
    torch.testing.assert_close(front(x), front(x.roll(3, 3)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["streaming", "spatial_lstm"])
def test_the_spec_is_the_network(name, networks):
    x = frames(24, seed=3)
    out, _ = run(networks[name], x)
    found = spec_numpy.run(networks[name].spec(), x[0].numpy())
    np.testing.assert_allclose(found, out[0].numpy(), atol=2e-5)


@pytest.mark.parametrize(
    ("name", "lookahead"), [("streaming", 0), ("tds", 0), ("tds_spatial", 0), ("spatial_lstm", 3)]
)
def test_a_streamed_networks_spec_carries_its_state(networks, name, lookahead):
    network = streamed(networks[name], lookahead)
    described = network.spec()
    assert [t.name for t in spec.state_of(described)] == list(network.state_names)
    state = tuple(0.1 * torch.randn_like(tensor) for tensor in network.initial_state(1))
    x = frames(10 + lookahead, seed=5)
    with torch.no_grad():
        expected, after = network(x, state)
    found, found_after = spec_numpy.step(described, x[0].numpy(), [tensor[0].numpy() for tensor in state])
    np.testing.assert_allclose(found, expected[0].numpy(), atol=2e-5)
    for array, tensor in zip(found_after, after, strict=True):
        np.testing.assert_allclose(array, tensor[0].numpy(), atol=2e-5)


def test_a_network_without_lookahead_is_given_none(networks):
    with pytest.raises(BadInput, match="looks at no future frame"):
        streamed(networks["streaming"], 2)


def test_the_last_two_maps_of_spatial_lstm_multiply_out(networks):
    network = networks["spatial_lstm"]
    x = torch.randn(5, 256, generator=torch.Generator().manual_seed(1))
    expected = network.head(network.widen(x))
    torch.testing.assert_close(functional.linear(x, *network.classifier()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_network_stays_behind_on_the_cpu(name):
    """On torch's device without memory, mixing in a tensor of the CPU is an error, as it is on a GPU."""
    network = build(name).to("meta").train()
    log_probs, after = network(
        torch.empty(2, network.left_context + 4, 2, 16, 33, device="meta"), network.initial_state(2)
    )
    torch.autograd.backward(log_probs.sum())
    assert {tensor.device.type for tensor in (log_probs, *after)} == {"meta"}
    assert {parameter.grad.device.type for parameter in network.parameters()} == {"meta"}
