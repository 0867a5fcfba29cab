"""Where a departure begins: the front end against a second opinion, then the network layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.features import HOP, N_FFT
from edge.highpass import HighPass
from edge.manifest import Form, ModelManifest
from edge.runtimes import Runtime
from edge.samples import Float32
from export.golden import Golden, Segment, Stages
from export.parity.report import StageFigures
from export.parity.thresholds import StageLimits
from personalize import spec, spec_numpy
from personalize.forms import form_of
from personalize.front_end import front_end

_CALLS: Final = 24  # of a live chunk: 0.8 s before it departs, enough for every state to have turned over
_CALLS_FRAMES: Final = 512  # and no more frames than these

Lowering = Callable[[spec.NetworkSpec, Form], Runtime]
"""Lowers a network in a form and opens what came out, as the artifact in question was."""


class StageTrace(NamedTuple):
    """The error of each row of one stage of one golden, to be plotted."""

    golden: str
    stage: str
    delta: Float32  # (N,)


class Place(NamedTuple):
    """Where to look for what departs."""

    golden: Golden
    emission: int = 0  # counted over all segments


def front_end_stages(
    goldens: Iterable[Golden], manifest: ModelManifest, limits: StageLimits
) -> tuple[list[StageFigures], list[StageTrace]]:
    """Edge's front end against the matrices that exporters lower it to, in float32 and NumPy."""
    figures, traces = [], []
    for golden in goldens:
        if len(golden.scenario.counts) == 0:
            continue
        second = _by_matrices(golden, manifest)
        rows = len(second.log_power)
        filtered, log_power, valid, network_input = golden.stages
        first = Stages(filtered[: len(second.filtered)], log_power[:rows], valid[:rows], network_input[:rows])
        found, errors = _compare(golden.name, first, second, "matrices", limits)
        # Clipped or knocked, a window holds bins fourteen decades apart, and float32 does not: not judged.
        figures += [
            one.model_copy(update={"faults": ()}) if golden.scenario.disturbed else one for one in found
        ]
        traces += errors
    return figures, traces


def written_stages(
    golden: Golden, written: Stages, limits: StageLimits
) -> tuple[list[StageFigures], list[StageTrace]]:
    """This version's front end against what lies in a bundle."""
    return _compare(golden.name, written, golden.stages, "bundle", limits)


def _by_matrices(golden: Golden, manifest: ModelManifest) -> Stages:
    """The first segment's kept rows once more, from the raw samples."""
    part = golden.scenario.segments[0]
    frames = min(len(golden.stages.log_power), len(golden.segments[0].frames))
    emg_uv = golden.scenario.emg_uv[part][: (frames - 1) * HOP + N_FFT]
    valid = golden.segments[0].valid[:frames]
    layer = front_end(manifest)
    start = HighPass().initial_state(emg_uv[0]).s.astype(np.float32)
    filtered, s = [], start.reshape(2, -1)
    for hop in emg_uv.reshape(-1, HOP, s.shape[1]):
        both = layer.hop_filter @ np.concatenate([hop, s])
        filtered.append(both[:HOP])
        s = both[HOP:]
    mask = valid.astype(np.float32)
    outputs = []
    for stage in (layer._replace(norm=None), layer):
        network = spec.NetworkSpec("front end", (stage,), 1)
        state = (start, *spec_numpy.initial_state(network)[1:])
        outputs.append(spec_numpy.step(network, emg_uv, state, mask)[0])
    log_power, network_input = outputs
    return Stages(np.concatenate(filtered).reshape(emg_uv.shape), log_power, valid, network_input)


def _compare(
    golden: str, expected: Stages, found: Stages, against: str, limits: StageLimits
) -> tuple[list[StageFigures], list[StageTrace]]:
    valid = expected.frame_valid[:, :, None, None] & found.frame_valid[:, :, None, None]
    peak_uv = max(1.0, float(np.abs(expected.filtered).max(initial=0.0)))
    errors = {
        "filter": np.abs(expected.filtered - found.filtered) / np.float32(peak_uv),
        "frames": np.abs(expected.log_power - found.log_power) * valid,  # what is missing is not told there
        "normalize": np.abs(expected.network_input - found.network_input),
    }
    figures, traces = [], []
    for stage, error in errors.items():
        largest = float(error.max(initial=0.0))
        p99 = float(np.quantile(error, 0.99)) if error.size else 0.0
        entry = {"golden": golden, "stage": stage, "against": against, "max_delta": largest, "p99": p99}
        faults = _stage_faults(stage, largest, p99, limits)
        figures.append(StageFigures.model_validate(entry | {"faults": faults}))
        traces.append(StageTrace(golden, stage, error.reshape(len(error), -1).max(-1)))
    return figures, traces


def _stage_faults(stage: str, largest: float, p99: float, limits: StageLimits) -> tuple[str, ...]:
    found, limit, what = {
        "filter": (largest, limits.filter_relative, "of the peak"),
        "frames": (p99, limits.frames_p99, "log10 at the 99th percentile"),
        "normalize": (p99, limits.normalize_p99, "standard deviations at the 99th percentile"),
    }[stage]
    if found <= limit:
        return ()
    return (f"it departs by {found:.2g} {what}, at most {limit:g} is allowed",)


def locate(
    runtime: Runtime, network: spec.NetworkSpec, place: Place, lowering: Lowering, limits: StageLimits
) -> str:
    """Name the first layer that departs: by the states that come out, and by lowering shorter networks.

    A layer is faulty where the network up to it departs and the network up to the layer before it does not.
    All are run over the calls that lead to `place`, from the initial state.
    """
    form = runtime.form
    calls = _calls(place, form, network.stride)
    limit = limits.layer_float32 if form.precision == "float32" else limits.layer_quantized

    def departs(length: int) -> bool:
        prefix = network._replace(layers=network.layers[:length])
        return _departure(lowering(prefix, _form(prefix, form)), prefix, calls) > limit

    layers = range(1, len(network.layers) + 1)
    if not departs(layers[-1]):
        held = _first_state(runtime, network, calls, limit)
        where = "" if held is None else f", and of its states {held} departs first"
        rounding = "" if form.precision == "float32" else "the rounding of all of them adds up, or "
        alone = "network: no layer alone, lowered again, departs"
        return f"{alone}; {rounding}the file is of another network{where}"
    good, bad = 0, layers[-1]
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if departs(middle) else (middle, bad)
    layer = network.layers[bad - 1]
    stage = "front end" if isinstance(layer, spec.FrontEnd) else "network"
    return f"{stage}: layer {bad} of {len(layers)}, {type(layer).__name__}"


def _form(prefix: spec.NetworkSpec, form: Form) -> Form:
    return form_of(
        prefix,
        chunk_frames=form.chunk_frames,
        whole_window=form.whole_window,
        lookahead_frames=form.lookahead_frames,
        takes=form.takes,
        precision=form.precision,
        uv_per_lsb=form.uv_per_lsb,
    )


class _Call(NamedTuple):
    x: npt.NDArray[Any]  # frames, or samples in the artifact's unit
    valid: Float32 | None


def _calls(place: Place, form: Form, stride: int) -> list[_Call]:
    """The calls up to the one that says `place`, as an artifact of `form` gets them."""
    scenario = place.golden.scenario
    segment, frame = _frame(place, form.lookahead_frames, stride)
    starts = range(0, max(1, len(segment.frames) - form.lookahead_frames), form.chunk_frames)
    count = min(_CALLS, max(1, _CALLS_FRAMES // form.chunk_frames))
    first = max(0, frame // form.chunk_frames + 1 - count)
    emg = scenario.counts if form.takes == "samples_int16" else scenario.emg_uv
    calls = []
    for start in starts[first : first + count]:
        if form.takes == "frames":
            calls.append(_Call(_filled(segment.frames[start:], form.input_frames), None))
            continue
        samples = _filled(emg[segment.samples][start * HOP :], form.input_samples)
        valid = _filled(segment.valid[start:].astype(np.float32), form.input_frames)
        calls.append(_Call(samples, valid))
    return calls


def _frame(place: Place, lookahead_frames: int, stride: int) -> tuple[Segment, int]:
    """The segment that says an emission, and the frame in it that the emission begins at."""
    first = 0
    for segment in place.golden.segments:
        count = max(0, len(segment.frames) - lookahead_frames) // stride
        if place.emission < first + count:
            return segment, (place.emission - first) * stride
        first += count
    return place.golden.segments[0], 0  # nothing was said


def _filled(rows: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """The first `count` rows, followed by zeros where there are fewer."""
    short = max(0, count - len(rows))
    return np.pad(rows[:count], [(0, short)] + [(0, 0)] * (rows.ndim - 1))


def _departure(runtime: Runtime, network: spec.NetworkSpec, calls: Sequence[_Call]) -> float:
    """How far what comes out is from NumPy: root mean square of the difference over that of the output."""
    state, held = runtime.initial_state(), spec_numpy.initial_state(network)
    difference = power = 0.0
    for x, valid in calls:
        found, state = runtime.run(x if valid is None else (x, valid), state)
        expected, held = spec_numpy.step(network, x, held, valid)
        difference += float(np.square(found.astype(np.float64) - expected).sum())
        power += float(np.square(expected.astype(np.float64)).sum())
    return float(np.sqrt(difference / max(power, 1e-30)))


def _first_state(
    runtime: Runtime, network: spec.NetworkSpec, calls: Sequence[_Call], limit: float
) -> str | None:
    """The first of an artifact's float states, in the order of the layers, that departs."""
    state, held = runtime.initial_state(), spec_numpy.initial_state(network)
    for x, valid in calls:
        _, state = runtime.run(x if valid is None else (x, valid), state)
        _, held = spec_numpy.step(network, x, held, valid)
    for tensor, found, expected in zip(runtime.form.state, state, held, strict=True):
        if tensor.dtype == "float32" and _relative(found, expected) > limit:
            return tensor.name
    return None


def _relative(found: Float32, expected: Float32) -> float:
    scale = max(float(np.sqrt(np.mean(np.square(expected)))), 1e-6)
    return float(np.sqrt(np.mean(np.square(found - expected)))) / scale
