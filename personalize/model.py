"""A trained network with its manifest: the folder that personalisation writes and export reads."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import BadInput
from edge.manifest import ModelManifest, Normalization, read_manifest, sha256_of, write_manifest
from edge.normalize import Prior
from edge.samples import SIDES, Side
from personalize import checkpoint
from personalize.networks import Network, streamed
from personalize.reference import deployed_form


def describe(
    network: Network, *, user: str, simulated: bool, sides: Collection[Side], prior: Prior | None
) -> ModelManifest:
    """The manifest of `network`; `prior` is what its frames are normalised from, None for log power."""
    return ModelManifest(
        user=user,
        network=network.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        simulated=simulated,
        sides=tuple(side for side in SIDES if side in sides),
        normalization=None if prior is None else Normalization.of(prior),
        stride=network.stride,
        label_delay_frames=network.label_delay,
        settling_frames=0 if network.bidirectional else streamed(network).settling,
        form=deployed_form(network),
    )


def save_model(folder: Path, network: Network, manifest: ModelManifest) -> None:
    """Write the weights into `folder`, and model.json with their hash."""
    weights = folder / checkpoint.FILE_NAME
    checkpoint.save(weights, network)
    write_manifest(folder, manifest.model_copy(update={"weights_sha256": sha256_of(weights)}))


def load_model(folder: Path) -> tuple[Network, ModelManifest]:
    """The network and manifest of a model's folder. Raises BadInput where they disagree."""
    manifest = read_manifest(folder)
    weights = folder / checkpoint.FILE_NAME
    expected = manifest.weights_sha256
    if expected is not None and weights.is_file() and sha256_of(weights) != expected:
        raise BadInput(
            f"{weights} is not what was trained (its SHA-256 differs); restore it, or personalize again"
        )
    network = checkpoint.load(weights)
    if network.name != manifest.network:
        raise BadInput(
            f"{folder} describes a {manifest.network} network and holds the weights of a {network.name}; "
            "personalize again"
        )
    return network, manifest
