"""The base that ships with qwrist: a streaming network trained on simulated wearers, to fine-tune from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import BadInput
from edge.manifest import Normalization, sha256_of
from personalize import checkpoint
from personalize.networks import Network

NAME = "base_streaming"


class BaseCard(BaseModel):
    """What the base is and how it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    command: str  # what made it, from the repository's root
    users: tuple[int, ...]  # simulated wearers it was trained on
    validation_users: tuple[int, ...]  # those its epoch was chosen on
    minutes: float  # of typing in training
    difficulties: tuple[str, ...]
    seed: int
    steps: int
    best_step: int
    validation_cer_percent: float
    zero_shot_cer_percent: dict[str, float]  # on new wearers, as it is: "medium user 31" -> CER
    sha256: str  # of the weights
    normalization: Normalization  # over all its wearers: where nothing of a new one is known


def card() -> BaseCard:
    """The card of the shipped base. Raises BadInput where this installation has none."""
    try:
        return BaseCard.model_validate_json(_file(".json").read_bytes())
    except FileNotFoundError:
        raise BadInput("this installation has no base; train with --from scratch") from None
    except ValidationError as error:
        raise BadInput(
            f"the base's card is damaged ({error.errors()[0]['msg']}); install qwrist anew"
        ) from None


def load() -> Network:
    """The shipped base. Raises BadInput where it is missing or not the one of the card."""
    path = _file(".safetensors")
    if sha256_of_or_empty(path) != card().sha256:
        raise BadInput(f"{path} is not the base that its card describes; install qwrist anew")
    return checkpoint.load(path)


def write(folder: Path, network: Network, card: BaseCard) -> None:
    """Write base and card into `folder`; weights are kept as float16, the card's hash is filled in."""
    weights = folder / f"{NAME}.safetensors"
    checkpoint.save(weights, network, half=True)
    card = card.model_copy(update={"sha256": sha256_of(weights)})
    (folder / f"{NAME}.json").write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")


def sha256_of_or_empty(path: Path) -> str:
    """The hash of a file, or "" where there is none."""
    return sha256_of(path) if path.is_file() else ""


def _file(suffix: str) -> Path:
    return Path(str(resources.files("personalize").joinpath("data", NAME + suffix)))
