"""Frames that were made once: kept beside a person's recordings, and believed only where they prove whole.

A file is named by the samples that it was made of and by what the front end makes of a test signal, so that
another recording, another front end, or a build of NumPy that rounds otherwise never finds it. It carries the
hash of its content and its name; what does not fit is made again.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from edge.features import BINS, HOP, N_FFT
from edge.files import write_atomically
from edge.samples import ELECTRODES, RATE_HZ, WRISTS
from edge.session import Session
from personalize.features import Float16, FramedSession, log_power
from personalize.labels import labels_of

MOST_BYTES: Final = 4_000_000_000  # four hours at 16 MB a minute: more than the seed paper's 13 x 18 min
_SUFFIX: Final = ".safetensors"
_TESTED_SAMPLES: Final = RATE_HZ // 4  # enough for a block of the filter and some windows


@dataclass(frozen=True)
class FrameCache:
    """Frames of recordings in `folder`; beyond `most_bytes` those that were used longest ago make room."""

    folder: Path
    most_bytes: int = MOST_BYTES

    def framed(self, session: Session, name: str | None = None) -> FramedSession:
        """What `FramedSession.of` gives, to the bit. A folder that cannot be written is no error."""
        path = self.folder / f"{_name(session)}{_SUFFIX}"
        kept = _read(path, len(session.emg_uv))
        if kept is not None:
            with suppress(OSError):
                os.utime(path)  # used just now
            return FramedSession(name or session.name, *kept, labels_of(session))
        made = FramedSession.of(session, name)
        with suppress(OSError):  # no room, or no right: it is made each time
            self._keep(path, made)
        return made

    def _keep(self, path: Path, made: FramedSession) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room(made.values.nbytes)
        content = {"values": made.values, "valid": made.valid}
        write_atomically(path, save(content, {"sha256": _digest(path, made.values, made.valid)}))

    def _make_room(self, size: int) -> None:
        files = sorted(
            ((found.stat().st_mtime_ns, found.stat().st_size, found) for found in self.folder.iterdir()),
            reverse=True,
        )
        room = self.most_bytes - size
        for _, taken, file in files:  # the latest first
            room -= taken
            if room < 0:
                file.unlink(missing_ok=True)


def _name(session: Session) -> str:
    found = hashlib.sha256(_front_end())
    found.update(repr((session.emg_uv.shape, session.filtered)).encode())
    found.update(np.ascontiguousarray(session.emg_uv).data)
    found.update(np.ascontiguousarray(session.valid).data)
    return found.hexdigest()


def _front_end() -> bytes:
    """What stands for the front end as it is: the frames that it makes of noise, filtered and not."""
    rng = np.random.default_rng(0)
    noise = Session(
        name="noise",
        user="nobody",
        condition="on_keyboard",
        sides=("left", "right"),
        filtered=False,
        simulated=True,
        time_s=np.arange(_TESTED_SAMPLES) / RATE_HZ,
        emg_uv=rng.normal(0, 20, (_TESTED_SAMPLES, WRISTS, ELECTRODES)).astype(np.float32),
        valid=np.ones((_TESTED_SAMPLES, WRISTS), np.bool_),
        keys=(),
        prompts=(),
    )
    made = [log_power(session).values for session in (noise, replace(noise, filtered=True))]
    return np.concatenate(made).tobytes()


def _read(path: Path, samples: int) -> tuple[Float16, npt.NDArray[np.bool_]] | None:
    """The frames of so many samples, or None where the file is missing, damaged or another's."""
    try:
        with safe_open(path, framework="np") as file:
            claimed = (file.metadata() or {}).get("sha256", "")
            values, valid = file.get_tensor("values"), file.get_tensor("valid")
    except (OSError, SafetensorError):
        return None
    frames = max(0, (samples - N_FFT) // HOP + 1)
    fits = values.shape == (frames, WRISTS, ELECTRODES, BINS) and valid.shape == (frames, WRISTS)
    typed = values.dtype == np.float16 and valid.dtype == np.bool_
    if fits and typed and _digest(path, values, valid) == claimed:
        return values, valid
    return None


def _digest(path: Path, values: Float16, valid: npt.NDArray[np.bool_]) -> str:
    found = hashlib.sha256(path.name.encode())
    found.update(values.data)
    found.update(valid.data)
    return found.hexdigest()
