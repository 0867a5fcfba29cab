"""Small real runs of each runtime and of the link, for `qwrist doctor`."""

from __future__ import annotations

import numpy as np

from edge.charset import CHARSET
from edge.errors import QwristError
from edge.features import BINS
from edge.runtimes import Runtime
from edge.samples import ELECTRODES, RATE_HZ, SIDES, WRISTS, Float32
from edge.session import PROMPTED, Session
from personalize import spec_numpy
from personalize.forms import form_of
from personalize.spec import BandLinear, Linear, LogSoftmax, LstmCell, NetworkSpec, PoolTime, SkipLstm

_TOLERANCE = 1e-4  # as parity asks of float artifacts
_LSB_UV = 3.3  # of the 12-bit codec: 13.2 mV in 4096 steps, and rounding


def run_litert() -> str:
    """Write, load and run a small .tflite. Raises QwristError where it answers wrongly."""
    from edge.runtimes.litert import LiteRtRuntime
    from export import tflite

    spec = _small_network()
    return _compare(LiteRtRuntime(*tflite.lower(spec, form_of(spec, chunk_frames=4))), spec)


def run_executorch() -> str:
    """Lower, load and run a small .pte. Raises QwristError where it answers wrongly."""
    from edge.runtimes.executorch import ExecuTorchRuntime
    from export import executorch

    spec = _small_network()
    return _compare(ExecuTorchRuntime(*executorch.lower(spec, form_of(spec, chunk_frames=4))), spec)


async def run_virtual_link() -> str:
    """Carry 0.2 s of noise over two virtual bands. Raises QwristError where it arrives changed."""
    from edge.replay import FileSource
    from firmware_bridge.connect import connect
    from firmware_bridge.rig import virtual_bands

    session = _noise()
    async with (
        virtual_bands(FileSource(session)) as rig,
        connect(SIDES, backend=rig.backend, clock=rig.clock) as pair,
    ):
        arrived = [chunk.emg_uv async for chunk in pair.chunks()]
    emg_uv = np.concatenate(arrived)
    if emg_uv.shape != session.emg_uv.shape or np.abs(emg_uv - session.emg_uv).max() > _LSB_UV:
        raise QwristError("samples came over the virtual link changed; install qwrist anew")
    return f"{len(emg_uv)} samples of two bands over GATT, none lost"


def _noise() -> Session:
    rng = np.random.default_rng(0)
    samples = RATE_HZ // 5
    return Session(
        name="self-test",
        user="self-test",
        condition=PROMPTED,
        sides=SIDES,
        filtered=False,
        simulated=True,
        time_s=np.arange(samples) / RATE_HZ,
        emg_uv=rng.normal(0, 50, (samples, WRISTS, ELECTRODES)).astype(np.float32),
        valid=np.ones((samples, WRISTS), np.bool_),
        keys=(),
        prompts=(),
    )


def _small_network() -> NetworkSpec:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Float32:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    hidden, width, classes = 4, 8, CHARSET.num_classes
    layers = (
        PoolTime(2),
        BandLinear(draw(WRISTS, width // 2, ELECTRODES, BINS), draw(WRISTS, width // 2), (0,)),
        SkipLstm(LstmCell(draw(4 * hidden, width), draw(4 * hidden, hidden), draw(4 * hidden))),
        Linear(draw(classes, hidden + width), draw(classes)),
        LogSoftmax(),
    )
    return NetworkSpec("self-test", layers, 2)


def _compare(runtime: Runtime, network: NetworkSpec) -> str:
    frames = np.random.default_rng(1).normal(0, 1, (4, WRISTS, ELECTRODES, BINS)).astype(np.float32)
    log_probs, _ = runtime.run(frames, runtime.initial_state())
    error = float(np.abs(log_probs - spec_numpy.run(network, frames)).max())
    if not error <= _TOLERANCE:
        raise QwristError(f"it runs and answers wrongly, by {error:.1g} in log p; install its extra anew")
    return f"runs an exported network, max |Δ log p| {error:.1g}"
