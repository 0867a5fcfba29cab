import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from personalize.average import WeightAverage


def network():
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def moved(module, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))


@settings(deadline=None)  # the first call warms torch up
@given(decay=st.floats(0.0, 0.99), updates=st.integers(0, 30))
def test_the_networks_own_weights_come_back(decay, updates):
    module = network()
    average = WeightAverage(module, decay)
    for seed in range(updates):
        moved(module, seed)
        average.follow()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with average.in_place():
        if decay == 0:
            assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@settings(deadline=None)  # the first call warms torch up
@given(decay=st.floats(0.1, 0.99), updates=st.integers(1, 40))
def test_it_is_the_weighted_mean_of_what_it_saw(decay, updates):
    module = network()
    average = WeightAverage(module, decay)
    expected = module[0].weight.detach().clone()
    for seed in range(updates):
        moved(module, seed)
        average.follow()
        kept = min(decay, (seed + 1) / (seed + 10))
        expected = kept * expected + (1 - kept) * module[0].weight.detach()
    with average.in_place():
        torch.testing.assert_close(module[0].weight.detach(), expected)


def test_the_start_is_soon_forgotten():
    module = network()
    with torch.no_grad():
        module[0].weight.fill_(1000.0)
    average = WeightAverage(module, 0.999)
    with torch.no_grad():
        module[0].weight.zero_()
    for _ in range(100):
        average.follow()
    with average.in_place():
        assert module[0].weight.abs().max() < 1e-3


def test_an_error_inside_leaves_the_networks_own_weights():
    module = network()
    average = WeightAverage(module, 0.9)
    moved(module, 1)
    average.follow()
    own = module[0].weight.detach().clone()
    try:
        with average.in_place():
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(module[0].weight, own)
