"""Microcontrollers by name: how much they hold, and whether a model fits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

import configs
from edge.documents import first_fault
from edge.errors import BadInput, QwristError

FILE: Final = Path(configs.__file__).parent / "targets.yaml"


class TooLarge(QwristError):
    """A model does not fit a target."""


class Target(BaseModel):
    """A microcontroller's memories, as far as a decoder may have them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    flash_bytes: int = Field(gt=0)  # for the model and edge/c
    arena_bytes: int = Field(gt=0)  # of RAM, for TFLite Micro's arena


_TARGETS: Final = TypeAdapter(dict[str, Target])


def read_targets(path: Path = FILE) -> dict[str, Target]:
    """All targets by name. Raises BadInput where the file is not a list of targets."""
    try:
        return _TARGETS.validate_python(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); name a file of targets") from None
    except yaml.YAMLError:
        raise BadInput(f"{path} is not YAML; compare it with configs/targets.yaml") from None
    except ValidationError as error:
        raise BadInput(
            f"{path} is no list of targets: {first_fault(error)}; see configs/targets.yaml"
        ) from None


def find_target(name: str) -> Target:
    """A target by name. Raises BadInput naming those there are."""
    targets = read_targets()
    if name not in targets:
        raise BadInput(f"there is no target {name!r}; choose one of {', '.join(targets)}")
    return targets[name]


def check_fits(flash_bytes: int, arena_bytes: int, name: str) -> None:
    """Raise TooLarge, saying by how much, unless the target `name` holds both. BadInput for another name."""
    target = find_target(name)
    short = [
        f"{needed:,} bytes of {memory} are needed and {name} has {there:,}: {needed - there:,} too many"
        for memory, needed, there in (
            ("flash", flash_bytes, target.flash_bytes),
            ("arena", arena_bytes, target.arena_bytes),
        )
        if needed > there
    ]
    if short:
        raise TooLarge(
            f"the model does not fit: {'; '.join(short)}; personalize with --network micro, "
            "or choose a larger target"
        )
