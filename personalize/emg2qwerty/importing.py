"""A published checkpoint as one of our networks: told by its shapes, proved by a second evaluation.

Its names are not relied on, for every fork has others. Modules are told by the names and shapes of their own
parameters, and where several are alike (two wrists, four blocks) by their order, in which torch registers
and saves them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch

from edge.errors import BadInput
from edge.features import BINS
from edge.samples import ELECTRODES, WRISTS, Float32
from personalize.checkpoint import parameter_count
from personalize.emg2qwerty.pickled import Array
from personalize.emg2qwerty.plain import Modules, plain_emissions
from personalize.emg2qwerty.reading import read_in_child
from personalize.networks import Network, build

KINDS: Final = ("tds", "tds_spatial", "spatial_lstm")
_FRAMES: Final = 160  # 124 are consumed by the temporal convolutions; the rest are said of
_TOLERANCE: Final = 1e-3  # |delta log p| between float32 and float64; wrong weights differ by more than 1

Signature = tuple[tuple[str, tuple[int, ...]], ...]


class Imported(NamedTuple):
    """A network taken over, and what shows that it is the one that was published."""

    network: Network
    parameters: int
    max_delta: float  # |delta log p| between it and a plain evaluation of the file's own numbers
    norm_mean: float  # of its batch norm's running statistics; generic.ckpt's are published: 0.511, 1.146
    norm_variance: float


def import_checkpoint(path: Path) -> Imported:
    """Read a Lightning checkpoint of emg2qwerty or of the seed paper. Raises UnsafeCheckpoint, BadInput."""
    weights = read_in_child(path)
    try:
        return taken_over(weights)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def taken_over(weights: Mapping[str, Array]) -> Imported:
    """The network that `weights`, in their order, are. Raises BadInput where they are none of the three."""
    modules = modules_of(weights)
    network = _filled(modules)
    delta = max_delta(network, modules)
    if not delta <= _TOLERANCE:  # NaN is refused too
        raise BadInput(
            f"taken over as {network.name} it says something else than its own numbers do: |delta log p| is "
            f"{delta:g}, at most {_TOLERANCE:g} is rounding; it is not such a network after all"
        )
    norm = next(module for module in modules if "running_var" in module)
    return Imported(
        network,
        parameter_count(network),
        delta,
        float(norm["running_mean"].mean()),
        float(norm["running_var"].mean()),
    )


def modules_of(weights: Mapping[str, Array]) -> Modules:
    """Parameters by the module they belong to, in order; what a module's own are called is kept."""
    modules: dict[str, dict[str, Array]] = {}
    for name, array in weights.items():
        owner, _, own = name.rpartition(".")
        modules.setdefault(owner, {})[own] = array
    return tuple(modules.values())


def max_delta(network: Network, modules: Modules) -> float:
    """The largest |delta log p| between `network` and the plain evaluation, on the same made-up frames."""
    frames = _frames()
    with torch.inference_mode():
        said = network(torch.from_numpy(frames)[None], network.initial_state(1))[0][0].numpy()
    expected = plain_emissions(network.name, modules, frames)
    return float(np.abs(said - expected).max()) if np.isfinite(said).all() else float("nan")


def _filled(modules: Modules) -> Network:
    """The one of the three networks that has exactly these modules, with their numbers."""
    found = _by_signature(modules)
    for kind in KINDS:
        network = build(kind)
        owners = _owners(network)
        wanted = _by_signature(list(owners.values()))
        if {s: len(alike) for s, alike in wanted.items()} != {s: len(alike) for s, alike in found.items()}:
            continue
        taken = {signature: iter(alike) for signature, alike in found.items()}
        state = {
            f"{owner}.{own}": torch.from_numpy(np.array(array))
            for owner, parameters in owners.items()
            for own, array in next(taken[_signature(parameters)]).items()
        }
        network.load_state_dict(state)
        return network.eval()
    numbers = sum(array.size for module in modules for array in module.values())
    raise BadInput(
        f"its {numbers:,} numbers in {len(modules)} modules are none of {', '.join(KINDS)}; only "
        "emg2qwerty's and the paper's are taken over"
    )


def _owners(network: Network) -> dict[str, dict[str, Array]]:
    owners: dict[str, dict[str, Array]] = {}
    for name, tensor in network.state_dict().items():
        owner, _, own = name.rpartition(".")
        owners.setdefault(owner, {})[own] = tensor.numpy()
    return owners


def _by_signature(modules: Sequence[Mapping[str, Array]]) -> dict[Signature, list[Mapping[str, Array]]]:
    alike: defaultdict[Signature, list[Mapping[str, Array]]] = defaultdict(list)
    for module in modules:
        alike[_signature(module)].append(module)
    return dict(alike)


def _signature(module: Mapping[str, Array]) -> Signature:
    return tuple(sorted((own, array.shape) for own, array in module.items()))


def _frames() -> Float32:
    """Frames as real ones are spread (published mean 0.511, variance 1.146), the same each time."""
    rng = np.random.default_rng(0)
    return rng.normal(0.511, 1.07, (_FRAMES, WRISTS, ELECTRODES, BINS)).astype(np.float32)
