"""The base that ships with qwrist: a streaming network trained on simulated wearers, to fine-tune from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import BadInput
from edge.manifest import Normalization, sha256_of
from personalize import checkpoint
from personalize.networks import Network

FOLDER: Final = Path(str(resources.files("personalize").joinpath("data")))
_NAME: Final = "base_streaming"


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


def path() -> Path:
    """Where the weights of the shipped base are."""
    return FOLDER / f"{_NAME}.safetensors"


def card() -> BaseCard:
    """The card of the shipped base. Raises BadInput where this installation has none."""
    try:
        return BaseCard.model_validate_json((FOLDER / f"{_NAME}.json").read_bytes())
    except FileNotFoundError:
        raise BadInput("this installation has no base to start from; start from scratch") from None
    except ValidationError as error:
        raise BadInput(
            f"the base's card is damaged ({error.errors()[0]['msg']}); install qwrist anew"
        ) from None


def load() -> Network:
    """The shipped base. Raises BadInput where it is missing or not the one of its card."""
    expected = card().sha256
    if not path().is_file() or sha256_of(path()) != expected:
        raise BadInput(f"{path()} is not the base that its card describes; install qwrist anew")
    return checkpoint.load(path())


def write(network: Network, card: BaseCard) -> None:
    """Replace the shipped base; weights are kept as float16, the card's hash is filled in."""
    FOLDER.mkdir(exist_ok=True)
    checkpoint.save(path(), network, half=True)
    path().chmod(0o644)  # a private file would be useless in a package
    card = card.model_copy(update={"sha256": sha256_of(path())})
    (FOLDER / f"{_NAME}.json").write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
