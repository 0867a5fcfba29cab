"""The checks that every lowering makes first, and what it gives."""

from __future__ import annotations

from typing import NamedTuple

from edge.errors import BadInput
from edge.manifest import Form
from personalize.forms import form_of
from personalize.spec import NetworkSpec, state_of

__all__ = ["Lowered", "check_form", "form_of"]


class Lowered(NamedTuple):
    """A lowered network: the file, and its form, of which quantizing may have changed the state."""

    content: bytes
    form: Form


def check_form(network: NetworkSpec, form: Form) -> None:
    """Raise BadInput unless chunk and lookahead are whole strides and the state is the network's."""
    stride = network.stride
    if form.chunk_frames % stride or form.lookahead_frames % stride:
        raise BadInput(
            f"{network.name} cannot take chunks of {form.chunk_frames} frames and a lookahead of "
            f"{form.lookahead_frames}; choose multiples of its stride, {stride}"
        )
    expected = [(tensor.name, tensor.shape) for tensor in state_of(network)]
    found = [(tensor.name, tensor.shape) for tensor in form.state]
    if found != expected:
        raise BadInput(
            f"model.json lists a state of {found}, and {network.name} carries {expected}; "
            "personalize again with this version"
        )
