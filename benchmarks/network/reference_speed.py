"""Our networks against the reference implementation: CPU-seconds a training window and a second of signal.

    export OMP_NUM_THREADS=1
    python benchmarks/network/reference_speed.py PATH/TO/emg2qwerty

The folder is a checkout of emg2qwerty or of a fork (CC BY-NC: read where it lies, never copied), of which
emg2qwerty/modules.py and transforms.py are run as they are; they need torchaudio. Everything takes turns in
one process on one thread on the same signal (noise), and medians are compared: only the ratios mean
something.

A training window is the whole way from samples to the updated weights. The reference cuts, transforms and
augments each window anew, as its data module does; ours are cut from frames that were made once, whose making
is a line of its own. Both take the same number of windows a batch. Reading is from samples to emissions of a
minute. The recurrent network is timed twice: without the paper's spatial module, and behind it, drawn as the
paper has it, since no published checkout that we could read holds that branch's file.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from edge.charset import CHARSET
from edge.features import FRAME_RATE_HZ, HOP, N_FFT
from edge.normalize import prior_from
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Float32
from edge.session import Session
from personalize import recipe
from personalize.dataset import Windows
from personalize.evaluate import emissions
from personalize.features import FramedSession, log_power, network_input
from personalize.geometry import Geometry
from personalize.labels import Labels
from personalize.loss import labels_loss
from personalize.networks import Network
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.train import initial_network

WINDOW, BEFORE, AFTER = 8000, 1800, 200  # samples: the reference's window and padding
KEYS = 20  # in a window: 5 a second
TRAINING_S, INFERENCE_S = 120, 60
# its configuration
MLP_FEATURES, SPATIAL_FEATURES, TDS_CHANNELS, TDS_KERNEL = 384, 32, (24, 24, 24, 24), 32


def module(folder: Path, name: str) -> ModuleType:
    """A module of the reference by its file, without its package, which would load Lightning."""
    file = folder / "emg2qwerty" / f"{name}.py"
    found = importlib.util.spec_from_file_location(f"reference_{name}", file)
    if found is None or found.loader is None:
        raise SystemExit(f"{file} is no Python module; name a checkout of emg2qwerty")
    loaded = importlib.util.module_from_spec(found)
    sys.modules[found.name] = loaded
    found.loader.exec_module(loaded)
    return loaded


def reference_networks(modules: ModuleType) -> Mapping[str, nn.Module]:
    """The reference's baseline and, where the folder is a fork that has it, the recurrent one."""
    width = WRISTS * MLP_FEATURES

    def around(encoder: nn.Module, *spatial: nn.Module) -> nn.Module:
        features = SPATIAL_FEATURES if spatial else N_FFT // 2 + 1
        mlp = modules.MultiBandRotationInvariantMLP(ELECTRODES * features, [MLP_FEATURES])
        head = nn.Linear(width, CHARSET.num_classes)
        norm = modules.SpectrogramNorm(WRISTS * ELECTRODES)
        return nn.Sequential(norm, *spatial, mlp, nn.Flatten(2), encoder, head, nn.LogSoftmax(-1))

    found = {"tds": around(modules.TDSConvEncoder(width, TDS_CHANNELS, TDS_KERNEL))}
    if hasattr(modules, "TDSLSTMEncoder"):
        found["lstm"] = around(modules.TDSLSTMEncoder(width))
        found["spatial lstm"] = around(modules.TDSLSTMEncoder(width), Spatial())
    return found


class Spatial(nn.Module):
    """The paper's spatial module part by part: bins to features, then a convolution around the ring."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(N_FFT // 2 + 1, SPATIAL_FEATURES)
        self.conv = nn.Conv1d(SPATIAL_FEATURES, SPATIAL_FEATURES, 3, padding=1, padding_mode="circular")

    def forward(self, frames: Tensor) -> Tensor:
        """(T, B, W, E, F) -> (T, B, W, E, S)."""
        rings = self.project(frames).flatten(0, 2).transpose(1, 2)  # (T*B*W, S, E)
        mixed: Tensor = self.conv(rings)
        return mixed.transpose(1, 2).reshape(*frames.shape[:-1], -1)


class Reference:
    """The reference as its training script puts it together."""

    def __init__(self, network: nn.Module, transforms: ModuleType, samples: Float32) -> None:
        t = transforms
        self._network, self._samples = network.train(), samples
        self._spectrogram = t.LogSpectrogram(n_fft=N_FFT, hop_length=HOP)
        self._train = t.Compose(
            [
                t.ForEach(t.RandomBandRotation(offsets=(-1, 0, 1))),
                t.TemporalAlignmentJitter(max_offset=120),
                self._spectrogram,
                t.SpecAugment(n_time_masks=3, time_mask_param=25, n_freq_masks=2, freq_mask_param=4),
            ]
        )
        self._loss = nn.CTCLoss(blank=CHARSET.blank)
        self._optimizer = torch.optim.Adam(network.parameters(), 1e-3)

    def step(self, windows: int) -> None:
        """One batch, from samples to updated weights."""
        rng = np.random.default_rng(0)
        starts = rng.integers(len(self._samples) - WINDOW - BEFORE - AFTER, size=windows)
        cut = [torch.from_numpy(self._samples[s : s + BEFORE + WINDOW + AFTER]) for s in starts]
        frames = nn.utils.rnn.pad_sequence([self._train(x) for x in cut])  # (T, B, W, E, F)
        log_probs = self._network(frames)
        lengths = torch.full((windows,), len(log_probs))
        targets = torch.randint(CHARSET.blank, (windows, KEYS))
        loss = self._loss(log_probs, targets, lengths, torch.full((windows,), KEYS))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def read(self, samples: Float32) -> Tensor:
        """Samples to emissions, the whole at once."""
        self._network.eval()
        with torch.inference_mode():
            said: Tensor = self._network(self._spectrogram(torch.from_numpy(samples))[:, None])
        self._network.train()
        return said


class Ours:
    """Our network and recipe, by the functions that personalize itself runs."""

    def __init__(self, network: Network, settings: recipe.Recipe, session: FramedSession) -> None:
        self._network, self._settings, self._session = network, settings, session
        self._prior = prior_from([session.frames]) if network.frame_input == "normalized" else None
        self._geometry = Geometry.of(network, warmup_s=settings.warmup_s, after_s=settings.after_s)
        self._windows = Windows([session.prepared(self._prior)], self._geometry, settings.window_s, 2)
        self._optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate)

    def step(self, windows: int) -> None:
        """One batch, from frames to updated weights."""
        from personalize.train import _update

        rng = np.random.default_rng(0)
        batch = next(self._windows.batches(windows, self._settings.augment, rng))
        _update(self._network, self._optimizer, batch, self._settings, 1, labels_loss(self._settings.align))

    def read(self, session: Session) -> Float32:
        """Samples to emissions, as an evaluation does it."""
        runtime = TorchRuntime(self._network, in_long_chunks(deployed_form(self._network)))
        geometry = Geometry.for_decoding(self._network, runtime.form)
        return emissions(runtime, network_input(log_power(session), self._prior), geometry)


def cpu_s(turns: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU-seconds of each, taking turns; the first round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(repeats + 1):
        for name, work in turns.items():
            started_s = time.process_time()
            work()
            taken[name].append(time.process_time() - started_s)
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def noise_session(seconds: int) -> Session:
    """Noise on both wrists."""
    samples = seconds * RATE_HZ
    emg = np.random.default_rng(0).standard_normal((samples, WRISTS, ELECTRODES)).astype(np.float32)
    return Session(
        name="noise",
        user="nobody",
        condition="on_keyboard",
        sides=("left", "right"),
        filtered=True,
        simulated=True,
        time_s=np.arange(samples) / RATE_HZ,
        emg_uv=emg,
        valid=np.ones((samples, WRISTS), np.bool_),
        keys=(),
        prompts=(),
    )


def framed(session: Session) -> FramedSession:
    """Its frames, and five keys a second that mean nothing."""
    made = FramedSession.of(session)
    press_frame = np.arange(0, len(made.values), FRAME_RATE_HZ * WINDOW / RATE_HZ / KEYS)
    classes = np.random.default_rng(1).integers(CHARSET.blank, size=len(press_frame))
    return FramedSession(
        made.name,
        made.values,
        made.valid,
        Labels(timed=True, classes=classes, press_frame=press_frame, phrases=()),
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--batch", type=int, default=8, help="windows")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    for name in ("modules", "transforms"):
        if not (asked.reference / "emg2qwerty" / f"{name}.py").is_file():
            raise SystemExit(
                f"{asked.reference} holds no emg2qwerty/{name}.py; name a checkout of emg2qwerty"
            )

    torch.set_num_threads(1)
    session, minute = noise_session(TRAINING_S), noise_session(INFERENCE_S)
    transforms = module(asked.reference, "transforms")
    theirs = {
        name: Reference(network, transforms, session.emg_uv)
        for name, network in reference_networks(module(asked.reference, "modules")).items()
    }
    ours = _ours(framed(session))
    print(f"torch {torch.__version__}, one thread, batches of {asked.batch}")
    training: dict[str, Callable[[], Any]] = {
        f"reference {name}": partial(r.step, asked.batch) for name, r in theirs.items()
    }
    training |= {name: partial(o.step, asked.batch) for name, o in ours.items()}
    training["making frames"] = partial(framed, session)
    taken = cpu_s(training, asked.repeats)
    made_s = taken.pop("making frames") * (WINDOW / RATE_HZ) / TRAINING_S
    print(_table("a training window", {name: s / asked.batch for name, s in taken.items()}))
    print(f"\nmaking the frames of a window, once for all epochs: {1000 * made_s:.1f} ms\n")
    reading: dict[str, Callable[[], Any]] = {
        f"reference {name}": partial(r.read, minute.emg_uv) for name, r in theirs.items()
    }
    reading |= {name: partial(o.read, minute) for name, o in ours.items() if "bfloat16" not in name}
    taken = cpu_s(reading, asked.repeats)
    print(_table("a second of signal read", {name: s / INFERENCE_S for name, s in taken.items()}))


def _ours(session: FramedSession) -> dict[str, Ours]:
    streaming, paper = recipe.load("streaming"), recipe.load("paper")
    halved = {"bfloat16": True}
    return {
        "streaming": Ours(initial_network("streaming", 0), streaming, session),
        "streaming, bfloat16": Ours(
            initial_network("streaming", 0), recipe.override(streaming, halved), session
        ),
        "spatial_lstm": Ours(initial_network("spatial_lstm", 0), paper, session),
        "spatial_lstm, bfloat16": Ours(
            initial_network("spatial_lstm", 0), recipe.override(paper, halved), session
        ),
    }


def _table(what: str, seconds: Mapping[str, float]) -> str:
    """CPU time of each, and how many times faster it is than each reference."""
    references: Final = [name for name in seconds if name.startswith("reference")]
    rows = [
        f"| {what} | CPU ms | {' | '.join(f'× {name}' for name in references)} |",
        "|---|---|" + "---|" * len(references),
    ]
    for name, taken in seconds.items():
        ratios = " | ".join(f"{seconds[reference] / taken:.1f}" for reference in references)
        rows.append(f"| {name} | {1000 * taken:.1f} | {ratios} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
