"""The networks, by name."""

from __future__ import annotations

from collections.abc import Callable

from edge.errors import BadInput
from personalize.networks.base import FrameInput, Network, TensorState
from personalize.networks.carried import streamed
from personalize.networks.paper import SpatialLstm, Tds
from personalize.networks.streaming import MICRO, Streaming

NETWORKS: dict[str, Callable[[], Network]] = {
    "streaming": Streaming,
    "micro": lambda: Streaming("micro", MICRO),
    "spatial_lstm": SpatialLstm,
    "tds": lambda: Tds(spatial=False),
    "tds_spatial": lambda: Tds(spatial=True),
}


def build(name: str) -> Network:
    """A freshly initialised network. Raises BadInput for a name that is not in NETWORKS."""
    try:
        return NETWORKS[name]()
    except KeyError:
        raise BadInput(f"there is no network {name!r}; choose one of {', '.join(NETWORKS)}") from None


__all__ = [
    "NETWORKS",
    "FrameInput",
    "Network",
    "SpatialLstm",
    "Streaming",
    "Tds",
    "TensorState",
    "build",
    "streamed",
]
