"""What a training step costs: CPU-seconds of one thread, medians within one run.

    OMP_NUM_THREADS=1 python benchmarks/training.py

Prints, for each network, seconds a step and how much faster than real time it trains; then the composed front
(one matrix product a wrist) against its parts run one by one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from edge.features import BINS, FRAME_RATE_HZ
from edge.samples import ELECTRODES, WRISTS
from personalize import recipe
from personalize.geometry import Geometry
from personalize.networks import NETWORKS, build
from personalize.networks.blocks import BandMlp, CircularSpatialConv

BATCH = 8  # windows
REPEATS = 5


def cpu_s(work: Callable[[], Tensor]) -> float:
    """Median CPU-seconds of `work` and its backward pass."""
    taken = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        work().sum().backward()
        taken.append(time.process_time() - start)
    return statistics.median(taken[1:])


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


if __name__ == "__main__":
    for each in NETWORKS:
        step_cost(each)
    front_cost()
