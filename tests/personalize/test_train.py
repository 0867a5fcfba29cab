import pytest
import torch

from edge.errors import NotEnoughData
from edge.normalize import prior_from
from personalize import recipe
from personalize import train as train_module
from personalize.features import FramedSession
from personalize.networks import build
from personalize.train import TrainingFailed, initial_network, rate, train, validate
from tests.personalize.toys import toy_session

QUICK = recipe.load("streaming").model_copy(
    update={"steps": 24, "evaluations": 3, "batch_windows": 2, "window_s": 2.0}
)


def prepared(*sessions):
    framed = [FramedSession.of(session) for session in sessions]
    prior = prior_from(session.frames for session in framed)
    return [session.prepared(prior) for session in framed]


@pytest.fixture(scope="module")
def keyboard():
    return prepared(toy_session(0, 25), toy_session(1, 10))


def test_it_learns_and_keeps_the_best(keyboard):
    network = initial_network("streaming", 0)
    before = validate(network, keyboard[1:])
    seen = []
    result = train(
        network, keyboard[:1], keyboard[1:], QUICK, seed=0, progress=lambda *told: seen.append(told)
    )
    assert [e.step for e in result.evaluations] == [8, 16, 24]
    assert result.best.cer.percent == min(e.cer.percent for e in result.evaluations) < 20 < before.percent
    assert validate(network, keyboard[1:]) == result.best.cer, "the network is left at its best"
    assert [(step, total) for step, total, _ in seen] == [(i, 24) for i in range(1, 25)]
    assert not network.training


def test_two_runs_of_one_seed_are_the_same_to_the_bit(keyboard):
    short = QUICK.model_copy(update={"steps": 5, "evaluations": 1})

    def weights(seed):
        network = initial_network("streaming", seed)
        train(network, keyboard[:1], keyboard[1:], short, seed=seed)
        return network.state_dict()

    torch.manual_seed(1)
    one = weights(7)
    torch.manual_seed(2)  # what the caller's generator holds has no part in it
    other, third = weights(7), weights(8)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


def test_the_callers_random_numbers_are_left_alone(keyboard):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(
        initial_network("streaming", 0),
        keyboard[:1],
        keyboard[1:],
        QUICK.model_copy(update={"steps": 1, "evaluations": 1}),
        seed=0,
    )
    assert torch.rand(1) == expected


def test_what_is_kept_is_the_average_of_the_weights(keyboard, monkeypatch):
    seen = []
    update = train_module._update

    def watched(network, *rest):
        value = update(network, *rest)
        seen.append(network.head.bias.detach().clone())
        return value

    monkeypatch.setattr(train_module, "_update", watched)
    short = QUICK.model_copy(update={"steps": 6, "evaluations": 1, "average_decay": 0.9})
    network = initial_network("streaming", 0)
    mean = network.head.bias.detach().clone()
    train(network, keyboard[:1], keyboard[1:], short, seed=0)
    for count, bias in enumerate(seen, 1):
        decay = min(0.9, count / (count + 9))
        mean = decay * mean + (1 - decay) * bias
    torch.testing.assert_close(network.head.bias.detach(), mean)
    assert not torch.equal(network.head.bias, seen[-1])


def test_half_the_bits_learn_as_well(keyboard):
    half = QUICK.model_copy(update={"bfloat16": True})
    network = initial_network("streaming", 0)
    result = train(network, keyboard[:1], keyboard[1:], half, seed=0)
    assert result.best.cer.percent < 20
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    exact = initial_network("streaming", 0)
    train(exact, keyboard[:1], keyboard[1:], QUICK, seed=0)
    assert not torch.equal(network.head.bias, exact.head.bias), "the products were in half the bits"


def test_prompts_alone_are_learnt_from():
    sessions = prepared(toy_session(0, 25, on_keyboard=False), toy_session(1, 10, on_keyboard=False))
    losses = []
    train(
        initial_network("streaming", 0),
        sessions[:1],
        sessions[1:],
        QUICK.model_copy(update={"steps": 20, "evaluations": 1, "dropout": 0.0}),
        seed=0,
        progress=lambda *told: losses.append(told[2]),
    )
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_one_band_is_learnt_from():
    sessions = prepared(toy_session(0, 25, sides=("left",)), toy_session(1, 10, sides=("left",)))
    result = train(initial_network("streaming", 0), sessions[:1], sessions[1:], QUICK, seed=0)
    assert result.best.cer.percent < 50


@pytest.mark.parametrize("name", ["spatial_lstm", "tds"])
def test_the_papers_networks_take_a_step(name):
    log_power = [FramedSession.of(toy_session(i, 6)).prepared(None) for i in range(2)]
    short = recipe.load("paper").model_copy(
        update={"network": name, "steps": 2, "evaluations": 1, "batch_windows": 2, "window_s": 0.8}
    )
    losses = []
    network = initial_network(name, 0)
    train(network, log_power[:1], log_power[1:], short, seed=0, progress=lambda *told: losses.append(told[2]))
    assert len(losses) == 2
    assert all(0 < loss < 1000 for loss in losses)


def test_too_short_recordings_are_refused():
    sessions = prepared(toy_session(0, 2.5), toy_session(1, 10))
    with pytest.raises(NotEnoughData, match=r"2\.9 s"):
        train(build("streaming"), sessions[:1], sessions[1:], QUICK, seed=0)


def test_a_loss_that_is_not_finite_ends_the_run(keyboard):
    network = initial_network("streaming", 0)
    with torch.no_grad():
        network.head.weight[0, 0] = float("nan")
    with pytest.raises(TrainingFailed, match="step 1"):
        train(network, keyboard[:1], keyboard[1:], QUICK, seed=0)


def test_the_rate_rises_to_its_peak_and_falls_to_a_hundredth():
    assert rate(0.05, 0.1) == pytest.approx(0.5)
    assert rate(0.1, 0.1) == pytest.approx(1.0)
    assert rate(1.0, 0.1) == pytest.approx(0.01)
    assert rate(0.5, 0.0) == pytest.approx(0.505)
