"""model.json: all that a device must know to run a network, and the only thing `edge` knows of one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from edge.charset import CHARSET
from edge.documents import read_json
from edge.errors import BadInput
from edge.features import BINS, HOP, N_FFT, POWER_FLOOR
from edge.files import write_atomically
from edge.highpass import CUTOFF_HZ
from edge.normalize import HORIZON_FRAMES, PRIOR_FRAMES, Prior
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Side

FILE_NAME = "model.json"
SCHEMA = 1
_ADVICE = "name a folder that personalize wrote"

RuntimeKind = Literal["executorch", "litert"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Normalization(_Record):
    """Where the running normalisation starts: statistics of log10 power, (W, E, F) as nested lists."""

    prior_frames: float = PRIOR_FRAMES
    horizon_frames: float = HORIZON_FRAMES
    mean: list[list[list[float]]]
    std: list[list[list[float]]]

    @classmethod
    def of(cls, prior: Prior) -> Self:
        """From the arrays, rounded to what float32 holds."""
        return cls(mean=prior.mean.tolist(), std=prior.std.tolist())

    @property
    def prior(self) -> Prior:
        """As arrays."""
        return Prior(np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32))

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        for array in self.prior:
            if array.shape != (WRISTS, ELECTRODES, BINS) or not np.isfinite(array).all():
                raise ValueError(f"normalisation must be finite and {WRISTS} x {ELECTRODES} x {BINS}")
        return self


class TensorSpec(_Record):
    """A float32 tensor of the artifact's signature."""

    name: str
    shape: tuple[int, ...]


class Artifact(_Record):
    """One exported file beside model.json."""

    file: str
    runtime: RuntimeKind
    sha256: str
    bytes: int


class ModelManifest(_Record):
    """The decoder as a device sees it. Frames in, log-probabilities out, state in and out."""

    schema_version: Literal[1] = 1
    user: str
    network: str
    created: str  # ISO 8601, UTC
    simulated: bool  # trained on simulated recordings: no figure of it is a person's
    sides: tuple[Side, ...]  # the bands it was trained with
    rate_hz: int = RATE_HZ
    highpass_hz: float = CUTOFF_HZ
    n_fft: int = N_FFT
    hop: int = HOP
    power_floor: float = POWER_FLOOR
    normalization: Normalization | None  # None: the network takes log power as it is
    chunk_frames: int  # frames an artifact takes at once; a multiple of stride
    stride: int  # frames an emission
    left_context: int  # frames consumed before the first emission of a window
    lookahead: int  # frames consumed after the last
    label_delay_frames: int  # from a press to where the network is trained to say it
    whole_window: bool  # each chunk stands alone (bidirectional): no live typing
    state: tuple[TensorSpec, ...]
    charset: tuple[str, ...] = CHARSET.keys
    charset_sha256: str = CHARSET.sha256
    blank: int = CHARSET.blank
    artifacts: tuple[Artifact, ...] = ()

    def artifact(self, runtime: RuntimeKind) -> Artifact | None:
        """The artifact for `runtime`, if one was exported."""
        return next((a for a in self.artifacts if a.runtime == runtime), None)

    @model_validator(mode="after")
    def _agrees_with_this_version(self) -> Self:
        fixed = {
            "charset_sha256": CHARSET.sha256,
            "blank": CHARSET.blank,
            "rate_hz": RATE_HZ,
            "highpass_hz": CUTOFF_HZ,
            "n_fft": N_FFT,
            "hop": HOP,
            "power_floor": POWER_FLOOR,
        }
        for name, expected in fixed.items():
            found = getattr(self, name)
            if found != expected:
                raise ValueError(f"{name} is {found}, this version of qwrist has {expected}")
        if self.charset != CHARSET.keys:
            raise ValueError(f"charset is not the {len(CHARSET.keys)} keys of this version, in their order")
        return self


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> ModelManifest:
    """Read model.json of a model's folder. Raises BadInput where it is missing or damaged."""
    return read_json(ModelManifest, folder / FILE_NAME, f"a model description of schema {SCHEMA}", _ADVICE)


def write_manifest(folder: Path, manifest: ModelManifest) -> None:
    """Write model.json into `folder`, whole or not at all."""
    write_atomically(folder / FILE_NAME, manifest.model_dump_json(indent=1).encode())


def verified_path(folder: Path, artifact: Artifact) -> Path:
    """The artifact's path once its bytes are known to be the exported ones.

    A FlatBuffer with flipped bits can load and answer wrongly, or take the process down, so nothing reaches a
    runtime unhashed. Raises BadInput.
    """
    path = folder / artifact.file
    if path.name != artifact.file or not path.is_file():
        raise BadInput(f"{path} is listed in {FILE_NAME} and not there; run: qwrist export")
    if sha256_of(path) != artifact.sha256:
        raise BadInput(f"{path} is not the file that was exported (its SHA-256 differs); run: qwrist export")
    return path
