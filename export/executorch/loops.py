"""Recurrences: a body that runs once a row, as `scan` over one XNNPACK delegate.

ExecuTorch leaves the body of a `scan` to its portable kernels, whose tanh alone costs more than an XNNPACK
call for the whole LSTM cell (docs/decisions/0006-recurrences-on-executorch.md). So a body is lowered by
itself; the exported scan holds a marker in its place, and `insert` puts the lowered body there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from edge.extras import require

Step = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]


class Body(nn.Module, ABC):
    """One step of a recurrence: forward(*carry, *row) -> (*next carry, *outputs), all float32 and 2-D."""

    like: tuple[int, ...]  # for each output the input whose shape it has: first the carry, each like itself

    @abstractmethod
    def example(self) -> tuple[Tensor, ...]:
        """Zeros of the shapes of its inputs."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Only operators that XNNPACK has: a body that it cannot take whole is refused."""


@torch.library.custom_op("qwrist::loop_body", mutates_args=())
def _marker(inputs: list[Tensor], like: list[int], number: int) -> list[Tensor]:  # noqa: ARG001
    """Stands for body `number` in an exported scan; what observes weights runs it and needs only shapes."""
    return [torch.zeros_like(inputs[i]) for i in like]


_marker.register_fake(lambda inputs, like, number: [torch.empty_like(inputs[i]) for i in like])  # noqa: ARG005


class Loop(nn.Module):
    """Runs `body` over the rows of its sequences; once `number` is set, as a scan over the marker for it."""

    def __init__(self, body: Body, carried: int) -> None:
        super().__init__()
        self.body = body
        self.carried = carried
        self.number: int | None = None

    def forward(
        self, carry: Sequence[Tensor], rows: Sequence[Tensor], after: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Carry and sequences (T, ...) -> the carry after `after` rows, and the outputs (T, ...).

        A body without outputs of its own gives its first carried tensor.
        """
        count = self.carried
        early = after < rows[0].shape[0]

        def step(carry: list[Tensor], row: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            new = self._run([*carry, *row])
            outputs = new[count:] or [new[0].clone()]
            return new[:count], [*outputs, *(part.clone() for part in new[:count])] if early else outputs

        run = _unrolled if self.number is None else scan
        last, stacked = run(step, list(carry), list(rows))
        if not early:
            return last, stacked
        return [part[after - 1] for part in stacked[-count:]], stacked[:-count]

    def _run(self, inputs: list[Tensor]) -> list[Tensor]:
        if self.number is None:
            return list(self.body(*inputs))
        result: list[Tensor] = torch.ops.qwrist.loop_body(inputs, list(self.body.like), self.number)
        return result


def _unrolled(step: Step, carry: list[Tensor], rows: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What scan does, step by step."""
    outputs = []
    for row in zip(*rows, strict=True):
        carry, out = step(carry, list(row))
        outputs.append(out)
    return carry, [torch.stack(parts) for parts in zip(*outputs, strict=True)]


class Delegate(NamedTuple):
    """A lowered body: its LoweredBackendModule, and which inputs and outputs of the body its own are."""

    module: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def delegate_of(edge_program: Any) -> Delegate:  # noqa: ANN401  (executorch is untyped)
    """The one delegate of a lowered body. Raises RuntimeError where XNNPACK did not take it whole."""
    graph_module = edge_program.graph_module
    calls = [node for node in graph_module.graph.nodes if _is_call(node)]
    computing = [node for node in graph_module.graph.nodes if node.op == "call_function"]
    if len(calls) != 1 or any(node not in calls and "getitem" not in node.name for node in computing):
        raise RuntimeError(f"XNNPACK took only part of a loop's body: {[node.name for node in computing]}")
    names = edge_program.graph_signature.user_inputs
    inputs = tuple(names.index(node.name) for node in calls[0].args[1:])
    outputs = tuple(node.args[1] for node in graph_module.graph.output_node().args[0])
    return Delegate(getattr(graph_module, calls[0].args[0].target), inputs, outputs)


def insert(graph_module: torch.fx.GraphModule, delegates: Sequence[Delegate]) -> int:
    """Put the delegates where the scans of `graph_module` hold markers; the number of markers replaced."""
    call_delegate = require("executorch.exir.delegate", "executorch").executorch_call_delegate
    count = 0
    for body in graph_module.modules():
        if not isinstance(body, torch.fx.GraphModule):
            continue
        for node in [node for node in body.graph.nodes if "qwrist.loop_body" in str(node.target)]:
            inputs, _, number = node.args
            delegate = delegates[number]
            body.add_module(f"loop_body_{number}", delegate.module)
            with body.graph.inserting_before(node):
                attribute = body.graph.get_attr(f"loop_body_{number}")
                attribute.meta["val"] = delegate.module
                taken = (inputs[i] for i in delegate.inputs)
                call = body.graph.call_function(call_delegate, (attribute, *taken))
            call.meta.update(node.meta)
            call.meta["val"] = [node.meta["val"][i] for i in _inverse(delegate.outputs)]
            for user in list(node.users):
                user.args = (call, delegate.outputs[user.args[1]])
            body.graph.erase_node(node)
            count += 1
        body.recompile()
    return count


def _is_call(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and "executorch_call_delegate" in str(node.target)


def _inverse(order: Sequence[int]) -> list[int]:
    return [order.index(i) for i in range(len(order))]
