"""The other end of edge.runtimes.process: `python -m edge.runtimes.worker` runs one artifact."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, assert_never

from edge.errors import BadInput, QwristError
from edge.manifest import RuntimeKind
from edge.runtimes.messages import Body, Message, Open, Opened, Ran, Refused, Run, read_message, write_message
from edge.runtimes.opening import open_runtime
from edge.runtimes.protocol import Runtime
from edge.runtimes.quiet import quiet_loading

_LIBRARIES: Final[Mapping[RuntimeKind, tuple[str, ...]]] = {
    "executorch": ("executorch.runtime",),
    "litert": ("ai_edge_litert.interpreter",),
    "tflm": ("tflite_micro.python.tflite_micro.runtime",),
}
_STATUS: Final = Path("/proc/self/status")


def peak_bytes() -> int:
    """The most memory that this process has held at once; 0 where the system does not tell.

    From /proc: getrusage counts what the parent held when it forked, too.
    """
    if not _STATUS.is_file():
        return 0
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next((1024 * int(words[1]) for words in lines if words[0] == "VmHWM:"), 0)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until they end; a user's error is an answer, any other the end."""
    runtime: Runtime | None = None
    while (request := read_message(requests)) is not None:
        try:
            runtime, answer = _answer(runtime, request)
        except QwristError as error:
            answer = Message(Refused(error=type(error).__name__, message=str(error)))
        write_message(answers, *answer)


def _answer(runtime: Runtime | None, request: Message) -> tuple[Runtime | None, Message]:
    body: Body = request.body
    match body:
        case Open():
            _import_library(body.kind or body.artifact.runtime)
            idle, began = peak_bytes(), time.perf_counter()
            runtime = open_runtime(Path(body.folder), body.artifact, body.threads, body.kind)
            load_s = time.perf_counter() - began
            opened = Opened(
                name=runtime.name,
                form=runtime.form,
                load_s=load_s,
                idle_bytes=idle,
                peak_bytes=peak_bytes(),
            )
            return runtime, Message(opened)
        case Run():
            if runtime is None:
                raise BadInput("nothing is loaded yet; send an artifact first")
            inputs, state = request.arrays[: body.inputs], request.arrays[body.inputs :]
            x = inputs[0] if body.inputs == 1 else (inputs[0], inputs[1])
            log_probs, after = runtime.run(x, state)
            return runtime, Message(Ran(peak_bytes=peak_bytes()), (log_probs, *after))
        case Opened() | Ran() | Refused():
            raise BadInput(f"{body.what!r} is an answer, not a request")
        case _:
            assert_never(body)


def _import_library(kind: RuntimeKind) -> None:
    """Import what the runtime will, so that a model's memory can be told from the library's."""
    with quiet_loading():
        for module in _LIBRARIES[kind]:
            with suppress(ImportError):
                importlib.import_module(module)


def main() -> None:
    """Serve on the standard streams; what native code prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
