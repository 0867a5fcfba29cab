"""The form of an artifact: which chunk it takes and which state it carries."""

from __future__ import annotations

from edge.manifest import Form, Precision, Takes
from personalize.spec import FrontEnd, NetworkSpec, state_of


def form_of(
    network: NetworkSpec,
    *,
    chunk_frames: int,
    whole_window: bool = False,
    lookahead_frames: int = 0,
    takes: Takes = "frames",
    precision: Precision = "float32",
    uv_per_lsb: float | None = None,
) -> Form:
    """How `network` is cut; its state in float32, which quantizing may change.

    A network that takes samples has its FrontEnd as first layer (personalize/front_end.py).
    """
    has_front_end = isinstance(network.layers[0], FrontEnd)
    if has_front_end == (takes == "frames"):
        raise ValueError(
            f"{network.name} {'has a' if has_front_end else 'lacks its'} front end: it takes {takes}"
        )
    return Form(
        precision=precision,
        takes=takes,
        chunk_frames=chunk_frames,
        lookahead_frames=lookahead_frames,
        whole_window=whole_window,
        uv_per_lsb=uv_per_lsb,
        state=state_of(network),
    )
