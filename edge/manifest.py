"""model.json: all that a device must know to run a network, and the only thing `edge` knows of one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge.charset import CHARSET
from edge.documents import read_json
from edge.errors import BadInput
from edge.features import BINS, HOP, N_FFT, POWER_FLOOR
from edge.files import write_atomically
from edge.highpass import CUTOFF_HZ
from edge.normalize import HORIZON_FRAMES, PRIOR_FRAMES, Prior
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Side

FILE_NAME = "model.json"
SCHEMA = 2
_ADVICE = "name a folder that personalize wrote"

RuntimeKind = Literal["executorch", "litert", "tflm"]
Precision = Literal["float32", "int8_dynamic", "int8_static"]
Takes = Literal["frames", "samples", "samples_int16"]


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
    """A state tensor of an artifact's signature; an integer one stands for scale * (value - zero_point)."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int8", "int16"] = "float32"
    scale: float | None = None
    zero_point: int | None = None

    def initial(self) -> npt.NDArray[Any]:
        """Its value before the first chunk, which stands for 0."""
        return np.full(self.shape, self.zero_point or 0, self.dtype)

    @model_validator(mode="after")
    def _is_quantized_or_not(self) -> Self:
        quantized = self.dtype != "float32"
        if (self.scale is not None) != quantized or (self.zero_point is not None) != quantized:
            raise ValueError(
                f"{self.name} is {self.dtype}: integers have a scale and a zero point, floats none"
            )
        return self


class Form(_Record):
    """How an artifact is cut: what one call takes, and how its numbers are stored."""

    precision: Precision = "float32"
    takes: Takes = "frames"
    chunk_frames: int = Field(gt=0)  # frames a call advances by; a multiple of the network's stride
    lookahead_frames: int = Field(default=0, ge=0)  # frames it reads beyond them and will be given again
    whole_window: bool = False  # each call stands alone: no live typing
    uv_per_lsb: float | None = None  # microvolts a step of int16 samples
    state: tuple[TensorSpec, ...] = ()

    @property
    def input_frames(self) -> int:
        """Frames that one call reads."""
        return self.chunk_frames + self.lookahead_frames

    @property
    def input_samples(self) -> int:
        """Samples that those frames cover."""
        return (self.input_frames - 1) * HOP + N_FFT

    def initial_state(self) -> tuple[npt.NDArray[Any], ...]:
        """The state before the first call."""
        return tuple(tensor.initial() for tensor in self.state)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (self.uv_per_lsb is not None) != (self.takes == "samples_int16"):
            raise ValueError("int16 samples, and only they, have microvolts a step")
        if self.whole_window and (self.state or self.lookahead_frames):
            raise ValueError("a whole window stands alone: it has neither state nor lookahead")
        return self


class Artifact(_Record):
    """One exported file beside model.json."""

    file: str
    runtime: RuntimeKind
    sha256: str
    bytes: int
    form: Form


class ModelManifest(_Record):
    """The decoder as a device sees it. Frames in, log-probabilities out, state in and out."""

    schema_version: Literal[2] = 2
    user: str
    network: str
    created: str  # ISO 8601, UTC
    weights_sha256: str | None = None  # of network.safetensors; None where schema 1 wrote it
    simulated: bool  # trained on simulated recordings: no figure of it is a person's
    sides: tuple[Side, ...]  # the bands it was trained with
    rate_hz: int = RATE_HZ
    highpass_hz: float = CUTOFF_HZ
    n_fft: int = N_FFT
    hop: int = HOP
    power_floor: float = POWER_FLOOR
    normalization: Normalization | None  # None: the network takes log power as it is
    stride: int  # frames an emission
    label_delay_frames: int  # from a press to where the network is trained to say it
    settling_frames: int = 0  # frames until the state is full: what is said of them is dropped
    form: Form  # as the desk runs it; each artifact has its own
    charset: tuple[str, ...] = CHARSET.keys
    charset_sha256: str = CHARSET.sha256
    blank: int = CHARSET.blank
    artifacts: tuple[Artifact, ...] = ()  # of one runtime, the preferred first

    def artifact(self, runtime: RuntimeKind) -> Artifact | None:
        """The preferred artifact for `runtime`, if one was exported."""
        return next((a for a in self.artifacts if a.runtime == runtime), None)

    def desk_artifact(self, runtime: RuntimeKind) -> Artifact | None:
        """What a computer with a front end decodes with: frames, in a stream before whole windows."""
        fed = [a for a in self.artifacts if a.runtime == runtime and a.form.takes == "frames"]
        return min(fed, key=lambda artifact: artifact.form.whole_window, default=None)

    @model_validator(mode="before")
    @classmethod
    def _read_schema_1(cls, document: Any) -> Any:  # noqa: ANN401  (JSON)
        if not isinstance(document, dict) or document.get("schema_version") != 1:
            return document
        try:
            return _from_schema_1(document)
        except (TypeError, KeyError):
            raise ValueError("its state is not that of a schema 1") from None

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


def _from_schema_1(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 knew one form for all artifacts. They are left out: they must be exported again."""
    old = dict(document)
    form = {name: old.pop(name, None) for name in ("chunk_frames", "whole_window")}
    settling, _ = old.pop("left_context", 0), old.pop("lookahead", 0)
    held = [(tensor["name"], tensor["shape"]) for tensor in old.pop("state", ())]
    if settling:  # TDS networks consumed their context then; now they carry it
        form["chunk_frames"] = 4
        held = [(f"past_{block}", (31, 768)) for block in (1, 2, 3, 4)]
    names = {"h": "h_1", "c": "c_1"}
    form["state"] = [{"name": names.get(name, name), "shape": shape} for name, shape in held]
    return old | {"schema_version": SCHEMA, "form": form, "settling_frames": settling, "artifacts": []}


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
