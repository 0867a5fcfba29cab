"""What training costs: CPU-seconds of one thread, medians within one run.

    export OMP_NUM_THREADS=1
    python benchmarks/training.py                                       # steps, and the composed front
    python benchmarks/training.py --personalize --wearers 501 502 503   # about 3 minutes a wearer

The first prints what the stages from samples to emissions cost, and a training window's cutting; for each
network, seconds a step and how much faster than real time it trains; then the composed front (one matrix
product a wrist) against its parts run one by one. The second personalises from the
base for simulated wearers with 8 minutes to train on (two donnings), 3 to choose the step and 3 that only
test, by `personalize_user` as the command runs it, and says how many CPU-seconds went by until the plateau:
the first evaluation within a point of the best. Its figures are of simulated wearers.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge.features import BINS, FRAME_RATE_HZ
from edge.normalize import prior_from
from edge.samples import ELECTRODES, WRISTS
from edge.session import write_session
from edge.store import User, UserStore
from personalize import recipe
from personalize.base_users import forbid
from personalize.dataset import Windows
from personalize.evaluate import emissions
from personalize.features import FramedSession, log_power, network_input
from personalize.fit import personalize_user
from personalize.gathering import gather
from personalize.geometry import Geometry
from personalize.networks import NETWORKS, build
from personalize.networks.blocks import BandMlp, CircularSpatialConv
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from simulate.recording import to_session
from simulate.wearer import Wearer

BATCH = 8  # windows
REPEATS = 5
STAGES_S = 60.0  # of signal
WEARERS: Final = (501, 502, 503)
LENGTHS_S: Final = (240.0, 240.0, 180.0, 180.0)  # two to train on, one to choose the step, one to test


def cpu_s(work: Callable[[], object]) -> float:
    """Median CPU-seconds of `work`, and of its backward pass where it gives a tensor that has one."""
    taken = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        made = work()
        if isinstance(made, Tensor) and made.requires_grad:
            torch.autograd.backward(made.sum())
        taken.append(time.process_time() - start)
    return statistics.median(taken[1:])


def stages_cost() -> None:
    """Print what a second of signal costs in each stage of the default network, and cutting a window."""
    session = to_session(Wearer(WEARERS[0], "mid").perform(0, duration_s=STAGES_S))
    settings, network = recipe.load("streaming"), build("streaming")
    raw = log_power(session)
    prior = prior_from([raw])
    runtime = TorchRuntime(network, in_long_chunks(deployed_form(network)))
    geometry = Geometry.for_decoding(network, runtime.form)
    frames = network_input(raw, prior)
    trained = Geometry.of(network, warmup_s=settings.warmup_s, after_s=settings.after_s)
    windows = Windows([FramedSession.of(session).prepared(prior)], trained, settings.window_s, 2)
    batches = windows.batches(BATCH, settings.augment, np.random.default_rng(0))
    for name, work, share in (
        ("high-pass and frames", lambda: log_power(session), STAGES_S),
        ("normalisation", lambda: network_input(raw, prior), STAGES_S),
        ("network", lambda: emissions(runtime, frames, geometry), STAGES_S),
        ("a training window, cut and varied", lambda: next(batches), BATCH),
    ):
        print(f"{name}: {1000 * cpu_s(work) / share:.2f} CPU-ms", flush=True)


def step_cost(name: str) -> None:
    """Print what a step of the network `name` costs."""
    settings = recipe.load("streaming" if name == "streaming" else "paper")
    network = build(name).train()
    geometry = Geometry.of(network, warmup_s=settings.warmup_s, after_s=settings.after_s)
    emissions = round(settings.window_s * FRAME_RATE_HZ / network.stride)
    frames = torch.randn(BATCH, geometry.window_frames(emissions), WRISTS, ELECTRODES, BINS)
    seconds = cpu_s(lambda: network(frames, network.initial_state(BATCH))[0])
    faster = BATCH * settings.window_s / seconds
    print(f"{name:13} {seconds:6.2f} CPU-s a step of {BATCH} windows, {faster:5.0f} x real time", flush=True)


def explicit(front: BandMlp, spatial: CircularSpatialConv, frames: Tensor) -> Tensor:
    """The front as the paper draws it: projection, circular convolution, then the maps of each rotation."""
    wrists = []
    for wrist, mlp in enumerate(front.mlps):
        b, t = frames.shape[:2]
        projected = spatial.project(frames[:, :, wrist]).flatten(0, 1).transpose(1, 2)  # (B*T, S, E)
        mixed = spatial.conv(projected).transpose(1, 2).reshape(b, t, ELECTRODES, -1)
        rolled = [functional.relu(mlp(mixed.roll(offset, 2).flatten(2))) for offset in front.offsets]
        wrists.append(torch.stack(rolled).mean(0))
    return torch.cat(wrists, -1)


def front_cost() -> None:
    """Print how much the composition saves, for the paper's front."""
    spatial = CircularSpatialConv(BINS, 32)
    front = BandMlp(BINS, 384, (-1, 0, 1), spatial)
    frames = torch.randn(BATCH, 500, WRISTS, ELECTRODES, BINS)
    parts, composed = cpu_s(lambda: explicit(front, spatial, frames)), cpu_s(lambda: front(frames))
    print(f"spatial front: parts {parts:.2f}, composed {composed:.2f} CPU-s: {parts / composed:.1f} x")


class Cost(NamedTuple):
    """CPU-seconds of a personalisation, and what it came to."""

    gather_s: float  # reading, framing and checking the recordings
    again_s: float  # the same with the frames in the cache
    plateau_s: float  # training until the plateau, its evaluation included
    whole_s: float  # all that `personalize` does, with the frames in the cache
    plateau_step: int
    steps: int
    before: float  # test CER of the base, percent
    test: float


def personalization_cost(user: User) -> Cost:
    """Personalise `user` from the base."""
    started_s = time.process_time()
    gather(user)
    gathered_s = time.process_time()
    gather(user)
    again_s = time.process_time()
    at_s: dict[int, float] = {}
    settings = recipe.load("finetune")

    def progress(step: int, _total: int, _loss: float) -> None:
        at_s[step] = time.process_time()

    told = personalize_user(user, settings, progress=progress)
    ended_s = time.process_time()
    curve = [(e.step, e.validation_cer_percent) for e in told.report.evaluations]
    best = min(cer for _, cer in curve)
    plateau = next(step for step, cer in curve if cer <= best + 1)
    assert told.report.test_before is not None
    return Cost(
        gather_s=gathered_s - started_s,
        again_s=again_s - gathered_s,
        plateau_s=at_s.get(plateau + 1, ended_s) - at_s[1],
        whole_s=ended_s - again_s,
        plateau_step=plateau,
        steps=settings.steps,
        before=told.report.test_before.percent,
        test=told.report.test.percent,
    )


def recorded(store: UserStore, number: int, difficulty: str) -> User:
    """A user with the recordings of the simulated wearer `number`."""
    forbid(number)
    user, wearer = store.create(f"wearer-{number}"), Wearer(number, difficulty)
    for donning, seconds in enumerate(LENGTHS_S):
        session = to_session(wearer.perform(donning, duration_s=seconds))
        write_session(user.session_path(user.new_session_name()), session)
    return user


def personalization(wearers: list[int], difficulty: str) -> None:
    """Print the table, a row a wearer."""
    torch.set_num_threads(1)
    print(f"simulated {difficulty} wearers, {sum(LENGTHS_S[:2]) / 60:.0f} minutes to train on, from the base")
    print("| wearer | gather | again, cached | training to the plateau | at step | all | CER before, after |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for number in wearers:
        with tempfile.TemporaryDirectory() as folder:
            cost = personalization_cost(recorded(UserStore(Path(folder)), number, difficulty))
        print(
            f"| {number} | {cost.gather_s:.1f} s | {cost.again_s:.1f} s | {cost.plateau_s:.0f} s | "
            f"{cost.plateau_step} of {cost.steps} | {cost.whole_s:.0f} s | "
            f"{cost.before:.1f}, {cost.test:.1f} % |",
            flush=True,
        )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--personalize", action="store_true")
    parser.add_argument("--wearers", type=int, nargs="+", default=list(WEARERS))
    parser.add_argument("--difficulty", default="mid")
    asked = parser.parse_args()
    if asked.personalize:
        personalization(asked.wearers, asked.difficulty)
        return
    torch.set_num_threads(1)
    stages_cost()
    for each in NETWORKS:
        step_cost(each)
    front_cost()


if __name__ == "__main__":
    main()
