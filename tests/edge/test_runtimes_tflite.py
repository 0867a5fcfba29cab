"""LiteRT and TFLite Micro: what they refuse, and the arena that the latter needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge.errors import BadInput
from edge.manifest import Form
from edge.runtimes.litert import LiteRtRuntime
from edge.runtimes.opening import load_runtime
from edge.runtimes.tflm import ARENA_MARGIN, TflmRuntime, aligned, smallest_arena
from export.tflite import lower
from personalize.forms import form_of
from tests.export.toys import form, random_frames, small_network

Opener = Callable[[bytes, Form], object]
BOTH = pytest.mark.parametrize("opener", [LiteRtRuntime, TflmRuntime])


@pytest.fixture(scope="module")
def static() -> tuple[bytes, Form]:
    network = small_network(0)
    return lower(network, form_of(network, chunk_frames=2, precision="int8_static"), [random_frames(0, 100)])


@BOTH
@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 1000])
def test_a_foreign_file_is_refused(opener: Opener, content: bytes, static: tuple[bytes, Form]) -> None:
    with pytest.raises(BadInput, match=r"no \.tflite file.*TFL3"):
        opener(content, static[1])


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.97])
def test_a_truncated_file_is_refused(kept: float, static: tuple[bytes, Form]) -> None:
    content, cut = static
    with pytest.raises(BadInput, match="LiteRT cannot run this"):
        LiteRtRuntime(content[: int(kept * len(content))], cut)


@BOTH
@pytest.mark.parametrize(
    "wrong",
    [
        lambda cut: cut.model_copy(update={"chunk_frames": 4}),
        lambda cut: cut.model_copy(
            update={"state": (cut.state[0].model_copy(update={"scale": 2.0}), *cut.state[1:])}
        ),
        lambda cut: cut.model_copy(
            update={"state": (cut.state[0].model_copy(update={"zero_point": 3}), *cut.state[1:])}
        ),
        lambda _: form(small_network(0), 2),  # the same shapes, in float32
    ],
)
def test_another_files_description_is_refused(
    opener: Opener, wrong: Callable[[Form], Form], static: tuple[bytes, Form]
) -> None:
    content, cut = static
    with pytest.raises(BadInput, match="disagree on the input"):
        opener(content, wrong(cut))


@BOTH
def test_what_a_call_does_not_take_is_refused(
    opener: Callable[[bytes, Form], LiteRtRuntime | TflmRuntime], static: tuple[bytes, Form]
) -> None:
    runtime = opener(*static)
    frames, state = random_frames(0, 2), runtime.initial_state()
    for x, held in (
        (random_frames(0, 3), state),
        (frames.astype(np.float64), state),
        ((frames, frames), state),
        (frames, state[1:]),
        (frames, tuple(value.astype(np.float32) for value in state)),
    ):
        with pytest.raises(BadInput, match="takes"):
            runtime.run(x, held)
    runtime.run(frames, state)


def test_the_smallest_arena_is_the_smallest(static: tuple[bytes, Form]) -> None:
    content, cut = static
    size = smallest_arena(content)
    assert TflmRuntime(content, cut).arena_bytes == size
    with pytest.raises(BadInput, match="needs an arena of more than"):
        TflmRuntime(content, cut, arena_bytes=int(0.9 * size / (1 + ARENA_MARGIN)))
    assert aligned(size) == size


def test_what_microcontrollers_lack_is_refused(static: tuple[bytes, Form]) -> None:
    network = small_network(0)
    cut = form_of(network, chunk_frames=2, precision="int8_dynamic")
    with pytest.raises(BadInput, match="--target mcu"):
        load_runtime(lower(network, cut).content, cut, "tflm")
    load_runtime(*static, "tflm")
