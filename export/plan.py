"""What an export is to make: which files, for which runtimes, in which form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from edge.errors import BadInput
from edge.features import FRAME_RATE_HZ
from edge.manifest import Form, ModelManifest, Precision, RuntimeKind, Takes
from personalize.forms import form_of
from personalize.front_end import with_front_end
from personalize.geometry import WINDOW_AFTER_S, WINDOW_BEFORE_S
from personalize.networks import Network, streamed
from personalize.spec import NetworkSpec

_FRAME_MS: Final = 1000 / FRAME_RATE_HZ
_SUFFIXES: Final[dict[RuntimeKind, str]] = {"executorch": "pte", "litert": "tflite", "tflm": "tflite"}
_PRECISIONS: Final[dict[Precision, str]] = {"float32": "", "int8_dynamic": "_int8", "int8_static": "_static"}
# ExecuTorch gains nothing from static int8, TFLite Micro cannot run dynamic (decisions 0005 and 0006).
PRECISIONS: Final[dict[RuntimeKind, tuple[Precision, ...]]] = {
    "executorch": ("float32", "int8_dynamic"),
    "litert": ("float32", "int8_dynamic", "int8_static"),
    "tflm": ("float32", "int8_static"),
}
_TAKES: Final[dict[Takes, str]] = {"frames": "", "samples": "_samples", "samples_int16": "_samples16"}
# Normalisation is written out frame by frame in an artifact that takes samples.
_MAX_SAMPLE_FRAMES: Final = 64
_MAX_MS: Final = 4000.0  # a training window, chunk and lookahead together; more would only be slow to start
# Whole windows overlap by what is only context: twice as much is said once more as is said at all.
_MIN_WINDOW_MS: Final = 1.5e3 * (WINDOW_BEFORE_S + WINDOW_AFTER_S)
_MAX_UV_PER_LSB: Final = 1000.0  # 16 steps for a signal of millivolts


class Wish(NamedTuple):
    """What an export is asked for; None leaves the choice to the model."""

    precisions: tuple[Precision, ...] = ("float32",)
    takes: Takes = "frames"
    chunk_ms: float | None = None
    lookahead_ms: float | None = None
    uv_per_lsb: float | None = None  # microvolts a step, of int16 samples


class Planned(NamedTuple):
    """One artifact to make."""

    file: str
    runtime: RuntimeKind
    network: NetworkSpec
    form: Form


def plan(
    network: Network, manifest: ModelManifest, wish: Wish, runtimes: Iterable[RuntimeKind]
) -> tuple[Planned, ...]:
    """The artifacts of `network` that a wish means, the preferred of each runtime first.

    A runtime is left out of the precisions that are not made for it. Raises BadInput for a chunk, lookahead
    or input that the network cannot have.
    """
    if wish.lookahead_ms is not None and not network.bidirectional:
        raise BadInput(f"{network.name} looks at no future frame; leave --lookahead-ms out")
    desk = manifest.form
    chunk = desk.chunk_frames if wish.chunk_ms is None else frames_of_ms(wish.chunk_ms, "--chunk-ms", network)
    lookahead = 0 if wish.lookahead_ms is None else frames_of_ms(wish.lookahead_ms, "--lookahead-ms", network)
    whole = network.bidirectional and wish.lookahead_ms is None
    _check_length(chunk * _FRAME_MS, lookahead * _FRAME_MS, network, whole=whole)
    cut = desk.model_copy(
        update={
            "takes": wish.takes,
            "chunk_frames": chunk,
            "lookahead_frames": lookahead,
            "whole_window": whole,
            "uv_per_lsb": wish.uv_per_lsb,
        }
    )
    _check_input(cut)
    described = (network if whole else streamed(network, lookahead)).spec()
    behind = with_front_end(described, manifest, cut)
    form = form_of(
        behind,
        chunk_frames=chunk,
        whole_window=whole,
        lookahead_frames=lookahead,
        takes=wish.takes,
        uv_per_lsb=wish.uv_per_lsb,
    )
    return tuple(
        Planned(
            file_name(runtime, precision, wish.takes),
            runtime,
            behind,
            form.model_copy(update={"precision": precision}),
        )
        for runtime in runtimes
        for precision in wish.precisions
        if precision in PRECISIONS[runtime]
    )


def file_name(runtime: RuntimeKind, precision: Precision, takes: Takes = "frames") -> str:
    """The name of an artifact's file; equal names would be equal artifacts."""
    return f"model{_PRECISIONS[precision]}{_TAKES[takes]}.{_SUFFIXES[runtime]}"


def frames_of_ms(milliseconds: float, option: str, network: Network) -> int:
    """Whole strides of `network` in frames. Raises BadInput, naming the nearest that would do."""
    step_ms = network.stride * _FRAME_MS
    least = 0.0 if option == "--lookahead-ms" else step_ms
    if not least <= milliseconds <= _MAX_MS or milliseconds % step_ms:
        wanted = min(max(milliseconds, least), _MAX_MS) if milliseconds == milliseconds else least
        raise BadInput(
            f"{option} is {milliseconds:g}; {network.name} takes multiples of {step_ms:g} ms "
            f"from {least:g} to {_MAX_MS:g}, such as {max(least, round(wanted / step_ms) * step_ms):g}"
        )
    return round(milliseconds / _FRAME_MS)


def _check_length(chunk_ms: float, lookahead_ms: float, network: Network, *, whole: bool) -> None:
    if chunk_ms + lookahead_ms > _MAX_MS:
        raise BadInput(
            f"chunk and lookahead together are {chunk_ms + lookahead_ms:g} ms; "
            f"at most {_MAX_MS:g} are read at once"
        )
    if whole and chunk_ms < _MIN_WINDOW_MS:
        raise BadInput(
            f"{network.name} in whole windows needs {_MIN_WINDOW_MS:g} ms of them and more, "
            f"of which {_MIN_WINDOW_MS / 1.5:g} are context; choose a longer --chunk-ms, "
            "or add --lookahead-ms to stream"
        )


def _check_input(form: Form) -> None:
    if form.takes != "frames" and form.input_frames > _MAX_SAMPLE_FRAMES:
        raise BadInput(
            f"an artifact that takes samples reads at most {_MAX_SAMPLE_FRAMES * _FRAME_MS:g} ms at once, "
            f"and this one would read {form.input_frames * _FRAME_MS:g} ms; choose a shorter --chunk-ms"
        )
    if form.takes == "samples_int16" and form.uv_per_lsb is None:
        raise BadInput("int16 samples need their scale; add --uv-per-lsb")
    if form.takes != "samples_int16" and form.uv_per_lsb is not None:
        raise BadInput(
            "--uv-per-lsb is the scale of int16 samples; add --input samples_int16, or leave it out"
        )
    if form.uv_per_lsb is not None and not 0 < form.uv_per_lsb < _MAX_UV_PER_LSB:
        raise BadInput(f"--uv-per-lsb is {form.uv_per_lsb:g}; expected microvolts a step, such as 0.5")


def calibrated(planned: Sequence[Planned]) -> bool:
    """Whether any of them needs recordings to calibrate on."""
    return any(one.form.precision == "int8_static" for one in planned)
