from typing import get_args

import numpy as np
import pytest
import torch

from edge.errors import BadInput
from edge.normalize import prior_from
from personalize import checkpoint, recipe, ways
from personalize.evaluate import emissions
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.networks import NETWORKS
from personalize.recipe import Way
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.spec_numpy import run
from personalize.train import initial_network, train, validate
from tests.personalize.toys import toy_session

WAYS = get_args(Way)
QUICK = recipe.load("streaming").model_copy(
    update={"steps": 4, "evaluations": 2, "batch_windows": 2, "window_s": 1.0, "learning_rate": 0.01}
)
PAPER = recipe.load("paper").model_copy(
    update={"steps": 1, "evaluations": 1, "batch_windows": 1, "window_s": 1.0}
)


@pytest.fixture(scope="module")
def keyboard():
    framed = [FramedSession.of(toy_session(seed, 6)) for seed in range(2)]
    prior = prior_from(session.frames for session in framed)
    return [session.prepared(prior) for session in framed]


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def fit(network, way, keyboard, settings=QUICK, seed=0):
    """The CER that training saw last, of what it trained."""
    with ways.fitting(network, way, seed) as fitted:
        return train(fitted, keyboard[:1], keyboard[1:], settings, seed=seed)


def moved(network, before):
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["streaming", "micro"])
def test_each_way_moves_its_weights_and_no_others(name, way, keyboard):
    network = initial_network(name, seed=1)
    before = weights(network)
    fit(network, way, keyboard)
    assert moved(network, before) == ways.trained_names(network, way)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_ways_move_fewer_and_fewer_weights():
    network = initial_network("streaming", seed=0)
    counts = {
        way: sum(network.get_parameter(name).numel() for name in ways.trained_names(network, way))
        for way in WAYS
    }
    adapters = ways.Adapted(initial_network("streaming", seed=0), seed=0)
    counts["adapters"] = sum(p.numel() for p in adapters.parameters() if p.requires_grad)
    assert counts["full"] == sum(p.numel() for p in network.parameters())
    assert counts["full"] > 5 * counts["last"] > 5 * counts["adapters"] > 5 * counts["norm"] > 0


@pytest.mark.parametrize("way", ["full", "last"])
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"streaming", "micro"}))
def test_the_papers_networks_are_fitted_whole_or_at_their_end(name, way):
    framed = [FramedSession.of(toy_session(seed, 4)).prepared(None) for seed in range(2)]
    network = initial_network(name, seed=1)
    before = weights(network)
    fit(network, way, framed, PAPER)
    statistics = {key for key in before if "running_" in key or "num_batches" in key}
    assert moved(network, before) - statistics == ways.trained_names(network, way)
    with pytest.raises(BadInput, match="way: full or way: last"), ways.fitting(network, "adapters", 0):
        pass


def test_adapters_leave_an_ordinary_network_that_says_what_was_validated(tmp_path, keyboard):
    network = initial_network("streaming", seed=2)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    best = fit(network, "adapters", keyboard).best
    checkpoint.save(tmp_path / "network.safetensors", network)
    loaded = checkpoint.load(tmp_path / "network.safetensors")
    assert {name: tensor.shape for name, tensor in loaded.state_dict().items()} == shapes
    assert validate(loaded, keyboard[1:]) == best.cer


def test_merged_adapters_say_the_same(keyboard):
    network = initial_network("streaming", seed=3)
    plain = said(network, keyboard[0])
    with ways.fitting(network, "adapters", 4) as adapted:
        np.testing.assert_array_equal(said(adapted, keyboard[0]), plain, "they start as what they wrap")
        for outer in adapted.outer.values():
            torch.nn.init.normal_(outer, std=0.1)
        with_adapters = said(adapted, keyboard[0])
        described = adapted.spec()
    assert np.abs(with_adapters - plain).max() > 0.1
    np.testing.assert_allclose(said(network, keyboard[0]), with_adapters, atol=1e-6)
    frames = keyboard[0].frames.values[:100]
    by_numpy = run(described, frames)
    np.testing.assert_allclose(by_numpy, with_adapters[: len(by_numpy)], atol=1e-4)


def said(network, session):
    runtime = TorchRuntime(network, in_long_chunks(deployed_form(network)))
    return emissions(runtime, session.frames.values, Geometry.for_decoding(network, runtime.form))


def test_a_seed_decides_the_adapters(keyboard):
    fitted = []
    once = QUICK.model_copy(update={"steps": 1, "evaluations": 1})
    for seed in (1, 1, 2):
        network = initial_network("micro", seed=0)
        fit(network, "adapters", keyboard, once, seed=seed)
        fitted.append(weights(network))
    assert all(torch.equal(fitted[0][name], fitted[1][name]) for name in fitted[0])
    assert not all(torch.equal(fitted[0][name], fitted[2][name]) for name in fitted[0])


def stopped_half_way(adapted):
    for outer in adapted.outer.values():
        torch.nn.init.ones_(outer)
    raise KeyboardInterrupt


def test_what_fails_leaves_the_network_as_it_was():
    network = initial_network("micro", seed=0)
    before = weights(network)
    with pytest.raises(KeyboardInterrupt), ways.fitting(network, "adapters", 0) as adapted:
        stopped_half_way(adapted)
    assert moved(network, before) == set()
    assert all(parameter.requires_grad for parameter in network.parameters())
