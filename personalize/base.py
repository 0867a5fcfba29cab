"""The bases that ship with qwrist: live networks trained on simulated wearers, to fine-tune from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import BadInput
from edge.files import made_folder
from edge.manifest import Normalization, sha256_of
from personalize import checkpoint
from personalize.networks import Network

_NETWORK: Final = "streaming"

_ANEW: Final = "install qwrist anew, or make the base again"

FOLDER: Final = Path(str(resources.files("personalize").joinpath("data")))


class BaseCard(BaseModel):
    """What the base is and how it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    taught_by: str | None = None  # the base that was its teacher
    command: str  # what made it, from the repository's root
    users: tuple[int, ...]  # simulated wearers it was trained on
    people: tuple[str, ...] = ()  # real ones, by their data set's ids; no figure from them either
    validation_users: tuple[int, ...]  # those its epoch was chosen on
    minutes: float  # of typing in training
    difficulties: tuple[str, ...]
    seed: int
    steps: int
    best_step: int
    validation_cer_percent: float | None  # None for a network that was made elsewhere
    zero_shot_cer_percent: dict[str, float]  # on new wearers, as it is: "medium user 31" -> CER
    sha256: str  # of the weights
    normalization: Normalization | None  # over all its wearers: where nothing of a new one is known

    @property
    def met(self) -> frozenset[str]:
        """Everybody of whom the base has seen anything, by the id that their recordings name."""
        simulated = {f"sim-{number}" for number in (*self.users, *self.validation_users)}
        return frozenset(simulated | set(self.people))


def path(network: str = _NETWORK, folder: Path | None = None) -> Path:
    """Where the weights of the base of kind `network` are: of those that ship, or of those in `folder`."""
    return (folder or FOLDER) / f"base_{network}.safetensors"


def card(network: str = _NETWORK, folder: Path | None = None) -> BaseCard:
    """The card of that base. Raises BadInput where there is none."""
    try:
        return BaseCard.model_validate_json(_card_path(network, folder).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"{folder or FOLDER} holds no base of a {network} network to start from; start from scratch"
        ) from None
    except ValidationError as error:
        raise BadInput(
            f"the card of the {network} base in {folder or FOLDER} is damaged "
            f"({error.errors()[0]['msg']}); {_ANEW}"
        ) from None


def cards(folder: Path | None = None) -> list[BaseCard]:
    """The cards of all bases in `folder`. Raises BadInput where there is none."""
    folder = folder or FOLDER
    names = sorted(file.stem.removeprefix("base_") for file in folder.glob("base_*.json"))
    if not names:
        raise BadInput(f"{folder} holds no base; name a folder that `qwrist pretrain --out` has written")
    return [card(name, folder) for name in names]


def load(network: str = _NETWORK, folder: Path | None = None) -> Network:
    """That base. Raises BadInput where it is missing or not the one of its card."""
    expected, file = card(network, folder).sha256, path(network, folder)
    if not file.is_file() or sha256_of(file) != expected:
        raise BadInput(f"{file} is not the base that its card describes; {_ANEW}")
    return checkpoint.load(file)


def imported_card(network: Network, *, command: str, people: tuple[str, ...]) -> BaseCard:
    """The card of a network that was trained elsewhere, of which no figure is known."""
    return BaseCard(
        network=network.name,
        command=command,
        users=(),
        people=people,
        validation_users=(),
        minutes=0,
        difficulties=(),
        seed=0,
        steps=0,
        best_step=0,
        validation_cer_percent=None,
        zero_shot_cer_percent={},
        sha256="",
        normalization=None,
    )


def write(network: Network, card: BaseCard, folder: Path | None = None, *, half: bool = True) -> None:
    """Replace the base of its kind; weights are kept as float16 if `half`, the card's hash is filled in."""
    made_folder(folder or FOLDER)
    file = path(network.name, folder)
    checkpoint.save(file, network, half=half)
    file.chmod(0o644)  # a private file would be useless in a package
    card = card.model_copy(update={"sha256": sha256_of(file)})
    _card_path(network.name, folder).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _card_path(network: str, folder: Path | None) -> Path:
    return (folder or FOLDER) / f"base_{network}.json"
