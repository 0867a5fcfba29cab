"""What an export is asked for becomes forms, or one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import BadInput
from edge.manifest import ModelManifest
from edge.normalize import Prior
from edge.samples import SIDES
from export.plan import Wish, calibrated, plan
from personalize.model import describe
from personalize.networks import NETWORKS, Network, build
from personalize.spec import FrontEnd

SHAPE = (2, 16, 33)


def described(name: str) -> tuple[Network, ModelManifest]:
    network = build(name)
    prior = Prior(np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32))
    normalized = prior if network.frame_input == "normalized" else None
    return network, describe(network, user="ada", simulated=True, sides=SIDES, prior=normalized)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_without_a_wish_artifacts_are_cut_as_the_desk_decodes(name: str) -> None:
    network, manifest = described(name)
    found = plan(network, manifest, Wish(), ("executorch", "litert"))
    assert [(one.file, one.form) for one in found] == [
        ("model.pte", manifest.form),
        ("model.tflite", manifest.form),
    ]
    assert not calibrated(found)


def test_lookahead_makes_a_window_a_stream() -> None:
    network, manifest = described("spatial_lstm")
    (one,) = plan(network, manifest, Wish(chunk_ms=200, lookahead_ms=96), ("litert",))
    assert (one.form.chunk_frames, one.form.lookahead_frames, one.form.whole_window) == (25, 12, False)
    assert [tensor.name for tensor in one.form.state] == [
        f"{p}_{i}" for i in (1, 2, 3, 4) for p in ("h", "c")
    ]


def test_every_precision_and_input_has_its_own_file() -> None:
    network, manifest = described("streaming")
    names = [
        one.file
        for takes in ("frames", "samples", "samples_int16")
        for one in plan(
            network,
            manifest,
            Wish(
                ("float32", "int8_dynamic", "int8_static"), takes, uv_per_lsb=0.5 if "16" in takes else None
            ),
            ("executorch", "litert"),
        )
    ]
    assert len(set(names)) == len(names) == 15  # static int8 is not made for ExecuTorch


def test_samples_go_through_the_front_end_whose_state_comes_first() -> None:
    network, manifest = described("streaming")
    (one,) = plan(network, manifest, Wish(takes="samples_int16", uv_per_lsb=0.25), ("litert",))
    assert isinstance(one.network.layers[0], FrontEnd)
    assert [tensor.name for tensor in one.form.state][:5] == [
        "filter",
        "norm_mean",
        "norm_variance",
        "norm_weight",
        "past_1",
    ]
    assert one.form.input_samples == 16 * 3 + 64


@pytest.mark.parametrize(
    ("name", "wish", "said"),
    [
        (
            "streaming",
            Wish(chunk_ms=20),
            "--chunk-ms is 20; streaming takes multiples of 16 ms from 16 to 4000, such as 16",
        ),
        ("streaming", Wish(chunk_ms=0), "such as 16"),
        ("streaming", Wish(chunk_ms=-16), "such as 16"),
        ("streaming", Wish(chunk_ms=float("nan")), "such as 16"),
        ("streaming", Wish(chunk_ms=1e9), "such as 4000"),
        ("streaming", Wish(uv_per_lsb=0.5), "add --input samples_int16"),
        ("streaming", Wish(lookahead_ms=32), "looks at no future frame"),
        ("spatial_lstm", Wish(lookahead_ms=-8), "such as 0"),
        ("streaming", Wish(takes="samples_int16"), "--uv-per-lsb"),
        ("streaming", Wish(takes="samples_int16", uv_per_lsb=0.0), "--uv-per-lsb is 0"),
        ("spatial_lstm", Wish(takes="samples"), "at most 512 ms at once"),
        ("spatial_lstm", Wish(chunk_ms=800), "needs 1500 ms of them and more, of which 1000 are context"),
        ("spatial_lstm", Wish(chunk_ms=1008), "add --lookahead-ms to stream"),
        ("spatial_lstm", Wish(chunk_ms=3000, lookahead_ms=2000), "together are 5000 ms"),
    ],
)
def test_what_cannot_be_is_refused(name: str, wish: Wish, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        plan(*described(name), wish, ("litert",))
