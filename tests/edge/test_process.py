"""A runtime in its own process: the same answers, and one clear sentence when that process dies."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.manifest import Artifact, Form, sha256_of
from edge.runtimes import open_runtime
from edge.runtimes.messages import Message, Open, Ran, Run, read_message, write_message
from edge.runtimes.process import ProcessRuntime, RuntimeDied
from edge.runtimes.worker import serve
from export import tflite
from personalize.forms import form_of
from tests.export.toys import random_frames, small_network

CHUNK = 4
DTYPES = st.sampled_from(["float32", "int8", "int16"])
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact]:
    network = small_network(0)
    content, form = tflite.lower(network, form_of(network, chunk_frames=CHUNK))
    folder = tmp_path_factory.mktemp("artifact")
    return folder, written(folder, content, form)


def written(folder: Path, content: bytes, form: Form) -> Artifact:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return Artifact(file=path.name, runtime="litert", sha256=sha256_of(path), bytes=len(content), form=form)


@given(specs=st.lists(st.tuples(DTYPES, SHAPES), max_size=4), inputs=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_messages_arrive_as_they_were_sent(specs: list[tuple[str, tuple[int, ...]]], inputs: int) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-100, 100, shape).astype(dtype) for dtype, shape in specs]
    pipe = io.BytesIO()
    write_message(pipe, Run(inputs=inputs), arrays)
    pipe.seek(0)
    message = read_message(pipe)
    assert message is not None
    assert message.body == Run(inputs=inputs)
    for sent, found in zip(arrays, message.arrays, strict=True):
        assert (found.dtype, found.shape) == (sent.dtype, sent.shape)
        np.testing.assert_array_equal(found, sent)
    assert read_message(pipe) is None


@given(content=st.binary(min_size=1, max_size=64))
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        read_message(io.BytesIO(content))


@given(cut=st.integers(1, 10_000))
def test_a_message_that_breaks_off_is_refused(cut: int) -> None:
    pipe = io.BytesIO()
    write_message(pipe, Ran(peak_bytes=1), [np.zeros((3, 3), np.float32)])
    content = pipe.getvalue()
    with pytest.raises(BadInput):
        read_message(io.BytesIO(content[: -1 - cut % (len(content) - 1)]))


@pytest.mark.parametrize("shape", [[1 << 40], [-1], [1 << 20, 1 << 20]])
def test_no_announced_size_is_trusted(shape: list[int]) -> None:
    header = f'{{"body":{{"what":"ran","peak_bytes":0}},"arrays":[{{"dtype":"float32","shape":{shape}}}]}}'
    content = len(header).to_bytes(4, "little") + header.encode()
    with pytest.raises(BadInput, match="announced"):
        read_message(io.BytesIO(content))
    with pytest.raises(BadInput, match="announced"):
        read_message(io.BytesIO((1 << 31).to_bytes(4, "little")))


def test_the_worker_answers_a_users_error_and_goes_on(artifact: tuple[Path, Artifact]) -> None:
    folder, one = artifact
    requests, answers = io.BytesIO(), io.BytesIO()
    write_message(requests, Run(inputs=1), [random_frames(0, CHUNK)])
    write_message(requests, Open(folder=str(folder), artifact=one, threads=1, kind=None))
    write_message(requests, Ran(peak_bytes=0))
    requests.seek(0)
    serve(requests, answers)
    answers.seek(0)
    found: list[Message | None] = [read_message(answers) for _ in range(3)]
    assert [None if one is None else one.body.what for one in found] == ["refused", "opened", "refused"]


def test_it_says_what_the_runtime_says_here(artifact: tuple[Path, Artifact]) -> None:
    here = open_runtime(*artifact)
    state = here.initial_state()
    with ProcessRuntime(*artifact) as there:
        assert there.form == here.form
        assert there.name == f"{here.name}, own process"
        held = there.initial_state()
        for seed in range(3):
            frames = random_frames(seed, CHUNK)
            expected, state = here.run(frames, state)
            found, held = there.run(frames, held)
            np.testing.assert_array_equal(found, expected)
        with pytest.raises(BadInput, match="frames"):
            there.run(frames[:-1], held)
        again, _ = there.run(random_frames(0, CHUNK), there.initial_state())  # it lived on
        assert np.isfinite(again).all()
        there.close()
        with pytest.raises(RuntimeDied, match="is gone"):
            there.run(frames, held)


def test_a_file_that_is_not_the_exported_one_is_refused_there_too(artifact: tuple[Path, Artifact]) -> None:
    folder, one = artifact
    with pytest.raises(BadInput, match="SHA-256"):
        ProcessRuntime(folder, one.model_copy(update={"sha256": "0" * 64}))


def test_a_process_that_is_killed_gives_one_sentence_and_no_zombie(artifact: tuple[Path, Artifact]) -> None:
    runtime = ProcessRuntime(*artifact)
    child = runtime._process.pid
    os.kill(child, signal.SIGSEGV)
    with pytest.raises(RuntimeDied, match=r"model\.tflite ended with SIGSEGV while running it.*export again"):
        runtime.run(random_frames(0, CHUNK), runtime.initial_state())
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def test_a_process_that_hangs_is_ended(artifact: tuple[Path, Artifact]) -> None:
    runtime = ProcessRuntime(*artifact, run_timeout_s=0.2)
    child = runtime._process.pid
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(RuntimeDied, match=r"no answer within 0\.2 s of running it"):
        # More than a pipe holds: even the writing would wait for ever.
        runtime.run(np.zeros((500, 2, 16, 33), np.float32), runtime.initial_state())
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def test_a_damaged_flatbuffer_of_the_right_hash_takes_nobody_with_it(
    artifact: tuple[Path, Artifact], tmp_path: Path
) -> None:
    content = bytearray((artifact[0] / artifact[1].file).read_bytes())
    content[8:2000] = bytes(range(256)) * 8  # offsets that lead anywhere
    one = written(tmp_path, bytes(content[: len(content) // 2]), artifact[1].form)
    with pytest.raises((RuntimeDied, BadInput)):
        ProcessRuntime(tmp_path, one)


def test_a_forgotten_runtime_is_reaped(artifact: tuple[Path, Artifact]) -> None:
    runtime = ProcessRuntime(*artifact)
    child = runtime._process.pid
    del runtime
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("the process outlived its runtime")
