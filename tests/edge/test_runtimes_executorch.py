"""What ExecuTorch is not given: files that are none, damaged, newer or another's, each refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.manifest import Form
from edge.runtimes.executorch import ExecuTorchRuntime
from export import executorch
from personalize import spec
from tests.export.toys import form, random_array, random_band, random_frames

NETWORK = spec.NetworkSpec(
    "tiny",
    (
        random_band(np.random.default_rng(0), 2, (0,)),
        spec.Linear(*(random_array(np.random.default_rng(1), *shape) for shape in ((7, 4), (7,)))),
        spec.LogSoftmax(),
    ),
    1,
)
FORM = form(NETWORK, 2)


@pytest.fixture(scope="module")
def program() -> bytes:
    return executorch.lower(NETWORK, FORM).content


def refusal(model: bytes, of: Form = FORM) -> str:
    with pytest.raises(BadInput) as caught:
        ExecuTorchRuntime(model, of)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_exported_runs(program: bytes) -> None:
    assert ExecuTorchRuntime(program, FORM).run(random_frames(0, 2), ())[0].shape == (2, 7)


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=200))
def test_what_is_no_program(content: bytes) -> None:
    assert "no .pte file" in refusal(content)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_program(program: bytes, share: float) -> None:
    cut = program[: int(share * len(program))]
    assert refusal(cut).endswith(("that qwrist export wrote", "qwrist export"))


def test_a_newer_program(program: bytes) -> None:
    assert "is of format ET13, and this ExecuTorch reads ET12" in refusal(program[:4] + b"ET13" + program[8:])


def test_a_program_with_unknown_operators(program: bytes) -> None:
    assert program.count(b"aten::_log_softmax") == 1
    said = refusal(program.replace(b"aten::_log_softmax", b"aten::_log_softmin"))
    assert "operators that this ExecuTorch lacks" in said


def test_a_program_without_the_method(program: bytes) -> None:
    assert program.count(b"forward") == 1
    assert "cannot run this .pte file" in refusal(program.replace(b"forward", b"fordraw"))


def test_a_program_of_another_form(program: bytes) -> None:
    other = FORM.model_copy(update={"chunk_frames": 3})
    said = refusal(program, other)
    assert "takes float32 (2, 2, 16, 33), and the description beside it lists float32 (3, 2, 16, 33)" in said
    as_samples = Form(chunk_frames=2, whole_window=True, takes="samples")
    assert "export both again" in refusal(program, as_samples)
