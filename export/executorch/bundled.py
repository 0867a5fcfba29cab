"""Bundled programs (.bpte): a .pte with golden calls inside, which a device replays by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy.typing as npt
import torch

from edge.errors import BadInput
from edge.extras import require
from edge.runtimes.quiet import quiet_loading
from export.executorch.quiet import quiet_libraries

_METHOD: Final = "forward"
FILE_IDENTIFIER: Final = b"BP08"  # bytes 4 to 7 of what ExecuTorch 1.x bundles


class Call(NamedTuple):
    """One golden call: arrays in the order of the program's inputs and outputs."""

    inputs: tuple[npt.NDArray[Any], ...]
    outputs: tuple[npt.NDArray[Any], ...]


def bundle(program: bytes, calls: Sequence[Call]) -> bytes:
    """The .bpte of a .pte and its golden calls. Raises BadInput where there are none."""
    if not calls:
        raise BadInput("a .bpte holds golden calls, and there are none; give it at least one")
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="qwrist-") as folder:
        config = require("executorch.devtools.bundled_program.config", "executorch")
        core = require("executorch.devtools.bundled_program.core", "executorch")
        serialize = require("executorch.devtools.bundled_program.serialize", "executorch")
        cases = [config.MethodTestCase(inputs=_tensors(x), expected_outputs=_tensors(y)) for x, y in calls]
        suites = [config.MethodTestSuite(method_name=_METHOD, test_cases=cases)]
        path = Path(folder) / "model.pte"  # a finished program can be given as a file only
        path.write_bytes(program)
        bundled = core.BundledProgram(None, suites, pte_file_path=str(path))
        return bytes(serialize.serialize_from_bundled_program_to_flatbuffer(bundled))


def departing_calls(bundled: bytes, count: int, atol: float) -> tuple[int, ...]:
    """Replay the first `count` golden calls in ExecuTorch; those with an output off by more than `atol`.

    Raises BadInput for what is no .bpte. A damaged one can take the process down: compare its hash first.
    """
    if bundled[4:8] != FILE_IDENTIFIER:
        raise BadInput(
            f"this is no .bpte file: it does not carry the mark {FILE_IDENTIFIER.decode()}; "
            "name one that qwrist export wrote"
        )
    with quiet_loading():
        library = require("executorch.extension.pybindings.portable_lib", "executorch")
        module = library._load_bundled_program_from_buffer(bundled)  # noqa: SLF001  (it has no other)
        return tuple(number for number in range(count) if not _passes(module, number, atol))


def _passes(module: Any, number: int, atol: float) -> bool:  # noqa: ANN401  (untyped)
    try:
        module.verify_result_with_bundled_expected_output(_METHOD, number, 0.0, atol)  # rtol, atol
    except RuntimeError:
        return False
    return True


def _tensors(arrays: Sequence[npt.NDArray[Any]]) -> list[torch.Tensor]:
    return [torch.from_numpy(array.copy()) for array in arrays]
