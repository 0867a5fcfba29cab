"""A checkpoint read in a process of its own: `python -m personalize.emg2qwerty.reading FILE OUT BYTES`.

Nothing in a checkpoint can run (`pickled`); the process bounds what a hostile one may use of memory and time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from safetensors import numpy as safetensors_numpy

from edge.errors import BadInput, QwristError
from personalize.emg2qwerty.pickled import Array, UnsafeCheckpoint, read_weights

_MEMORY_BYTES: Final = 2 << 30  # Python, NumPy and the reference's 64 MB take 0.3 GB
_CPU_S: Final = 60  # the reference's takes one
_THIS: Final = "personalize.emg2qwerty.reading"
_UNSAFE: Final = 3  # exit codes, beside 2 for what is damaged
_DAMAGED: Final = 2


def read_in_child(path: Path, memory_bytes: int = _MEMORY_BYTES) -> dict[str, Array]:
    """`read_weights` of `path` in a process of its own. Raises UnsafeCheckpoint, BadInput."""
    if not path.is_file():
        raise BadInput(f"{path} is not there; name a .ckpt file")
    with tempfile.TemporaryDirectory(prefix="qwrist-") as folder:
        out = Path(folder) / "weights.safetensors"
        command = [sys.executable, "-m", _THIS, str(path.resolve()), str(out), str(memory_bytes)]
        try:
            ended = subprocess.run(  # noqa: S603  (this very module)
                command, capture_output=True, text=True, timeout=2 * _CPU_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise BadInput(f"{path} took more than {2 * _CPU_S} s to read, so it was given up") from None
        if ended.returncode == 0:
            numbered = safetensors_numpy.load(out.read_bytes())
            return {key.split(" ", 1)[1]: numbered[key] for key in sorted(numbered)}
    said = ended.stderr.strip().splitlines()
    reason = said[-1] if said else "it said nothing"
    match ended.returncode:
        case 2:
            raise BadInput(f"{path} is no checkpoint that can be read: {reason}")
        case 3:
            raise UnsafeCheckpoint(f"{path} is not a harmless checkpoint: {reason}")
        case code:
            limits = f"{memory_bytes / 2**30:g} GB and {_CPU_S} s"
            raise BadInput(f"{path} was not read within {limits} (exit code {code}: {reason})")


def _bound(memory_bytes: int) -> None:
    """Limit this process, where the system can."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> int:
    """Read arguments[0] within arguments[2] bytes of memory, write its weights to arguments[1].

    Gives the exit code; the reason is one line on stderr.
    """
    source, out, memory_bytes = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    _bound(memory_bytes)
    try:
        weights = read_weights(source)
    except QwristError as error:
        sys.stderr.write(f"{error}\n")
        return _UNSAFE if isinstance(error, UnsafeCheckpoint) else _DAMAGED
    # safetensors does not keep the order, by which modules of one shape are told apart
    numbered = {f"{number:05d} {name}": array for number, (name, array) in enumerate(weights.items())}
    out.write_bytes(safetensors_numpy.save(numbered))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
