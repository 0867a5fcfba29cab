"""20,000 chunks, ten minutes of one stream, on a state that is never put back: no runtime drifts."""

from __future__ import annotations

import pytest

from edge.runtimes import load_runtime
from export import executorch, tflite
from export.golden import rehearsal
from export.parity import drift, load_thresholds, onnx_runtime
from personalize.reference import TorchRuntime
from tests.export.toys import talkative

CHUNKS = 20_000


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes of work, on a machine that may have other
def test_a_state_is_carried_without_drift() -> None:
    network, manifest = talkative("streaming", 4)
    layers, form = network.spec(), manifest.form
    runtimes = [
        onnx_runtime(network, form),
        load_runtime(*tflite.lower(layers, form), "litert"),
        load_runtime(*executorch.lower(layers, form), "executorch"),
    ]
    frames = rehearsal(manifest, duration_s=20.0).frames
    limit = load_thresholds().float32.max_delta
    for found in drift(runtimes, TorchRuntime(network, form), frames, CHUNKS):
        assert found.chunks == CHUNKS
        assert max(found.max_delta) <= limit, found.runtime
        assert max(found.max_delta[-5:]) <= 3 * max(found.max_delta[:5]), found.runtime  # no rise
        assert found.differing == 0, found.runtime
        assert found.state_delta <= 1e-4, found.runtime
