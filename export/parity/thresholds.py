"""What an artifact may depart by: configs/parity.yaml, where each limit has its reason, or another file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.documents import first_fault
from edge.errors import BadInput

FILE_NAME: Final = "parity.yaml"
_ADVICE: Final = f"start from configs/{FILE_NAME}"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FloatLimits(_Record):
    """Of float32 artifacts: on frames, where the text must be identical too; and on raw samples."""

    max_delta: float = Field(gt=0)  # on each golden
    rms_samples: float = Field(gt=0)  # on the typing; on the others and besides as int8


class QuantizedLimits(_Record):
    """Of int8 artifacts: on the typing, and on all disturbed scenarios together, `rms` on each of them."""

    rms: float = Field(gt=0)
    rms_disturbed: float = Field(gt=0)
    cosine: float = Field(gt=0, le=1)
    agreement: float = Field(gt=0, le=1)
    agreement_disturbed: float = Field(gt=0, le=1)
    cer_points: float = Field(ge=0)


class StageLimits(_Record):
    """Of the front end's stages, and of single layers."""

    filter_relative: float = Field(gt=0)
    frames_p99: float = Field(gt=0)
    normalize_p99: float = Field(gt=0)
    layer_float32: float = Field(gt=0)
    layer_quantized: float = Field(gt=0)


class Thresholds(_Record):
    """All limits."""

    sum_error: float = Field(gt=0)  # of every artifact
    float32: FloatLimits
    quantized: QuantizedLimits
    stages: StageLimits


def load_thresholds(path: Path | None = None) -> Thresholds:
    """The limits of `path`, or those that come with qwrist. Raises BadInput."""
    file = Path(str(resources.files("configs").joinpath(FILE_NAME))) if path is None else path
    try:
        return Thresholds.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}); {_ADVICE}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not YAML: {' '.join(str(error).split())}; {_ADVICE}") from None
    except ValidationError as error:
        raise BadInput(f"{file} holds no thresholds of parity: {first_fault(error)}; {_ADVICE}") from None
