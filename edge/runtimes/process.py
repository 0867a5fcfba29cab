"""A runtime in a process of its own: native code that crashes on a damaged file takes nobody with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import IO, Any, Final, Self

from edge import errors
from edge.errors import QwristError
from edge.manifest import Artifact, RuntimeKind
from edge.runtimes.messages import (
    Array,
    Body,
    Message,
    Open,
    Opened,
    Ran,
    Refused,
    Run,
    read_message,
    write_message,
)
from edge.runtimes.protocol import ModelInput, State
from edge.samples import Float32

OPEN_TIMEOUT_S: Final = 120.0  # importing ExecuTorch took 26 s on a busy machine
RUN_TIMEOUT_S: Final = 60.0  # a whole window takes 0.1 s
_LAST_WORDS_BYTES: Final = 2000  # of its standard error, for the message


class RuntimeDied(QwristError):
    """The process that ran an artifact ended, or did not answer in time."""


class ProcessRuntime:
    """Runs an artifact in `python -m edge.runtimes.worker`; close it, or use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        artifact: Artifact,
        threads: int = 1,
        kind: RuntimeKind | None = None,
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        run_timeout_s: float = RUN_TIMEOUT_S,
    ) -> None:
        """Load the artifact there. Raises as open_runtime, and RuntimeDied where the process ends."""
        self._file, self._run_timeout_s = folder / artifact.file, run_timeout_s
        self._last_words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe would have to be emptied)
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "edge.runtimes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._last_words,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        self._talk = ThreadPoolExecutor(1, thread_name_prefix="qwrist-runtime")
        self._end = weakref.finalize(self, _end, self._process, self._talk, self._last_words)
        try:
            request = Open(folder=str(folder), artifact=artifact, threads=threads, kind=kind)
            answer = self._ask(open_timeout_s, request).body
            if not isinstance(answer, Opened):
                raise RuntimeDied(
                    f"the process that was to run {self._file} answered {answer.what!r} to opening"
                )
        except BaseException:
            self.close()
            raise
        self.name, self.form = f"{answer.name}, own process", answer.form
        self.load_s, self.idle_bytes = answer.load_s, answer.idle_bytes
        self.peak_bytes = answer.peak_bytes
        """The most memory that the process has held at once, as of its last answer; 0 where not known."""

    def initial_state(self) -> State:
        """The state before the first chunk."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """One call, as Runtime.run. Raises what that raises, and RuntimeDied where the process ends in it."""
        inputs = x if isinstance(x, tuple) else (x,)
        answer = self._ask(self._run_timeout_s, Run(inputs=len(inputs)), (*inputs, *state))
        if not isinstance(answer.body, Ran):
            raise RuntimeDied(f"the process that ran {self._file} answered {answer.body.what!r} to a run")
        self.peak_bytes = answer.body.peak_bytes
        log_probs, *after = answer.arrays
        return log_probs, tuple(after)

    def close(self) -> None:
        """End the process and reap it; a second time does nothing."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, timeout_s: float, request: Body, arrays: Sequence[Array] = ()) -> Message:
        """One exchange, in a thread: killing the process is what frees it from a pipe that nobody serves."""
        if not self._end.alive:
            raise RuntimeDied(f"the process that ran {self._file} is gone; open the artifact again")
        doing = "loading it" if isinstance(request, Open) else "running it"
        try:
            answer = self._talk.submit(_exchange, self._process, request, arrays).result(timeout_s)
        except Late:
            self.close()
            raise RuntimeDied(
                f"the process that ran {self._file} gave no answer within {timeout_s:g} s of {doing}; "
                "the file may be damaged: run qwrist export again"
            ) from None
        except (OSError, errors.BadInput):  # a broken pipe, or half a message: it ended in the middle
            answer = None
        if answer is None:
            raise RuntimeDied(self._obituary(doing))
        if isinstance(answer.body, Refused):
            raise _error(answer.body)
        return answer

    def _obituary(self, doing: str) -> str:
        code = self._process.wait()
        self._last_words.seek(0, os.SEEK_END)
        self._last_words.seek(max(0, self._last_words.tell() - _LAST_WORDS_BYTES))
        lines = self._last_words.read().decode(errors="replace").strip().splitlines()
        self.close()
        said = f" ({lines[-1].strip()})" if lines else ""
        return (
            f"the process that ran {self._file} ended with {_ending(code)} while {doing}{said}; "
            "the file may be damaged: run qwrist export again"
        )


def _exchange(process: subprocess.Popen[bytes], request: Body, arrays: Sequence[Array]) -> Message | None:
    requests, answers = _pipe(process.stdin), _pipe(process.stdout)
    write_message(requests, request, arrays)
    return read_message(answers)


def _pipe(stream: IO[bytes] | None) -> Any:  # noqa: ANN401  (IO[bytes] and BinaryIO are one thing, two types)
    if stream is None:
        raise TypeError("the process was started without pipes")
    return stream


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _error(refused: Refused) -> QwristError:
    """The error as it was raised there; one of another package comes as its base."""
    kind = getattr(errors, refused.error, QwristError)
    return kind(refused.message) if issubclass(kind, QwristError) else QwristError(refused.message)


def _end(process: subprocess.Popen[bytes], talk: ThreadPoolExecutor, last_words: IO[bytes]) -> None:
    process.kill()
    process.wait()
    talk.shutdown(wait=True)  # its pipes are broken now, so it ends
    for stream in (process.stdin, process.stdout, last_words):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was still buffered for it has nowhere to go
                continue
