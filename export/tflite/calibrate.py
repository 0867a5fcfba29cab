"""The ranges by which static int8 sets its scales: seen on a wearer's own recordings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from edge.errors import BadInput
from edge.extras import require
from edge.features import BINS
from edge.manifest import Form
from edge.runtimes.quiet import quiet_loading
from edge.runtimes.signature import FRAMES, next_name
from edge.samples import ELECTRODES, WRISTS, Float32
from export.tflite.arithmetic import ObservingArithmetic, Range
from export.tflite.graph import Graph
from export.tflite.network import lower_network, without_front_end
from personalize import spec

# A network without lookahead is observed in chunks of this many emissions, whatever the chunk it is lowered
# for: its scales, and so every bit of what it says, are then the same for every chunk.
_EMISSIONS: Final = 25
# The share of the values, at either end, that 8 bits cover. Covering them all is no better on a wearer's
# validation recording, and then a single stray value sets the scale of all typing; covering 0.999 is twice as
# bad (docs/decisions/0005-static-int8.md).
_QUANTILE: Final = 0.9999
_SAMPLES: Final = 4096  # values of a label that are kept of a chunk: more than 10^5 of 15 s
_FRAME: Final = (WRISTS, ELECTRODES, BINS)


class _Observer(NamedTuple):
    """The network in float32 with every stored tensor among its outputs."""

    signature: Any
    labels: Mapping[str, str]  # of outputs, by their name
    form: Form


def calibrated_ranges(
    network: spec.NetworkSpec, form: Form, calibration: Sequence[Float32]
) -> dict[str, Range]:
    """What each label's values were on `calibration`, recordings (T, W, E, F) as the network takes them.

    Raises BadInput for recordings that are none, too short, of another shape or not finite.
    """
    observer = _observer(network, form)
    _check(calibration, observer.form.input_frames)
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for recording in calibration:
        for label, values in _observe(observer, recording):
            seen[label].add(values)
    return {label: values.range() for label, values in seen.items()}


class _Seen:
    """The values of a label: the largest of all, and a sample of them for their quantiles."""

    def __init__(self) -> None:
        self._largest = 0.0
        self._samples: list[Float32] = []

    def add(self, values: Float32) -> None:
        """Take one chunk's."""
        self._largest = max(self._largest, float(np.abs(values).max()))
        step = -(-values.size // _SAMPLES)
        self._samples.append(values[len(self._samples) % step :: step].copy())  # another part of each chunk

    def range(self) -> Range:
        """Of all that was taken."""
        low, high = np.quantile(np.concatenate(self._samples), [1 - _QUANTILE, _QUANTILE])
        return Range(float(low), float(high), self._largest)


def _check(calibration: Sequence[Float32], least: int) -> None:
    """Raise BadInput unless every recording can be observed."""
    if not calibration:
        raise BadInput("static int8 needs recordings to calibrate by; name the user's training recordings")
    for number, recording in enumerate(calibration, 1):
        if recording.ndim != 4 or recording.shape[1:] != _FRAME:
            raise BadInput(
                f"calibration recording {number} has shape {recording.shape}; "
                f"frames of a network's input are (T, {WRISTS}, {ELECTRODES}, {BINS})"
            )
        if len(recording) < least:
            raise BadInput(
                f"calibration recording {number} has {len(recording)} frames, at least {least} are needed; "
                "give a longer one"
            )
        if not np.isfinite(recording).all():
            raise BadInput(
                f"calibration recording {number} holds values that are not finite; "
                "leave it out, or record again"
            )


def _observer(network: spec.NetworkSpec, form: Form) -> _Observer:
    network = network._replace(layers=without_front_end(network))
    chunk = form.chunk_frames if form.lookahead_frames else _EMISSIONS * network.stride
    form = Form(chunk_frames=chunk, lookahead_frames=form.lookahead_frames, state=spec.state_of(network))
    graph = Graph("observer")
    arithmetic = ObservingArithmetic(graph)
    lower_network(arithmetic, network, form)
    labels: dict[str, str] = {}
    for number, (label, tensor) in enumerate(arithmetic.observed):
        name = f"seen_{number}"
        graph.output(name, tensor)
        labels[name] = label
    with quiet_loading():
        module = require("ai_edge_litert.interpreter", "litert")
        interpreter = module.Interpreter(model_content=graph.serialize(), num_threads=1)
        interpreter.allocate_tensors()
    return _Observer(interpreter.get_signature_runner(), labels, form)


def _observe(observer: _Observer, recording: Float32) -> Iterator[tuple[str, Float32]]:
    """Each label's values, chunk by chunk from the start; frames that fill no chunk are left out."""
    form = observer.form
    held = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in form.state}
    for first in range(0, len(recording) - form.input_frames + 1, form.chunk_frames):
        frames = recording[first : first + form.input_frames]
        outputs = observer.signature(**{FRAMES: frames.astype(np.float32)}, **held)
        held = {name: outputs[next_name(name)] for name in held}
        for name, label in observer.labels.items():
            yield label, outputs[name].reshape(-1)
