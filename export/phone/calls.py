"""Golden calls: the first seconds of a recording, cut as an artifact takes them, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.ctc import DecoderState, greedy_step
from edge.errors import BadInput
from edge.features import BINS, FRAME_RATE_HZ, HOP, N_FFT
from edge.manifest import Form, ModelManifest, TensorSpec
from edge.runtimes import Runtime
from edge.runtimes.signature import FRAMES, SAMPLES, VALID
from edge.samples import ELECTRODES, WRISTS, Bool, Float32

GOLDEN_S: Final = 4.0  # of signal: a score of keys, and about 2 MB of frames


class Recording(NamedTuple):
    """One stretch of a recording, from a reset on, as the desk's front end sees it."""

    emg_uv: Float32  # (N, W, E) raw microvolts
    valid: Bool  # (N, W): no sample missing
    frames: Float32  # (T, W, E, F) what the network takes, of the same samples


class GoldenCalls(NamedTuple):
    """What a sample feeds to an artifact, and what it must say of it."""

    content: bytes  # the inputs of one call after another, in the order of the signature; little-endian
    classes: tuple[int, ...]  # the keys that the artifact said of them on the desk


def input_tensors(form: Form) -> tuple[TensorSpec, ...]:
    """The inputs of a call before its state."""
    match form.takes:
        case "frames":
            return (TensorSpec(name=FRAMES, shape=(form.input_frames, WRISTS, ELECTRODES, BINS)),)
        case "samples":
            samples = TensorSpec(name=SAMPLES, shape=(form.input_samples, WRISTS, ELECTRODES))
        case "samples_int16":
            samples = TensorSpec(
                name=SAMPLES,
                shape=(form.input_samples, WRISTS, ELECTRODES),
                dtype="int16",
                scale=form.uv_per_lsb,
                zero_point=0,
            )
    return (samples, TensorSpec(name=VALID, shape=(form.input_frames, WRISTS)))


def golden_calls(runtime: Runtime, manifest: ModelManifest, recording: Recording) -> GoldenCalls:
    """Feed the first GOLDEN_S of `recording` to an artifact, and keep what it was given and what it said.

    Samples are given less each electrode's first, so that the high-pass, which starts at zero, is at rest.
    Raises BadInput where the artifact says no key of it: programs that agree on silence prove nothing.
    """
    state, decoder = runtime.initial_state(), DecoderState()
    content: list[bytes] = []
    classes: list[int] = []
    settling = manifest.settling_frames // manifest.stride
    for number, inputs in enumerate(inputs_of(recording, runtime.form)):
        content += [array.tobytes() for array in inputs]
        log_probs, state = runtime.run(inputs[0] if len(inputs) == 1 else (inputs[0], inputs[1]), state)
        seen = number * len(log_probs)
        decoder, said = greedy_step(decoder, log_probs[max(0, settling - seen) :])
        classes += [key.label for key in said]
    if not classes:
        raise BadInput(
            f"{runtime.name} says no key in the first {GOLDEN_S:g} s of the golden recording, which "
            "proves nothing; use a recording with typing from its start"
        )
    return GoldenCalls(b"".join(content), tuple(classes))


def inputs_of(recording: Recording, form: Form) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """The inputs of each whole call in the first GOLDEN_S."""
    frames = min(len(recording.frames), round(GOLDEN_S * FRAME_RATE_HZ))
    still = recording.emg_uv - recording.emg_uv[:1]
    for start in range(0, frames - form.input_frames + 1, form.chunk_frames):
        stop = start + form.input_frames
        if form.takes == "frames":
            yield (np.ascontiguousarray(recording.frames[start:stop], "<f4"),)
            continue
        samples = still[start * HOP :][: form.input_samples]
        if form.uv_per_lsb is not None:
            samples = np.clip(np.rint(samples / form.uv_per_lsb), -32768, 32767)
        windows = np.lib.stride_tricks.sliding_window_view(recording.valid, N_FFT, axis=0)[::HOP]
        dtype = "<i2" if form.uv_per_lsb is not None else "<f4"
        yield np.ascontiguousarray(samples, dtype), windows[start:stop].all(-1).astype("<f4")
