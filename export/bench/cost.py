"""What a call costs by arithmetic: multiply-accumulates of its matrix products, from layers and form."""

from __future__ import annotations

from typing import Final, assert_never

from edge.features import BINS, HOP, N_FFT
from edge.manifest import Form
from edge.samples import ELECTRODES, WRISTS
from personalize import spec

_LANES: Final = WRISTS * ELECTRODES


def macs(network: spec.NetworkSpec, form: Form) -> int:
    """Multiply-accumulates of one call; what is done number by number (norms, gates) is left out."""
    rows, total = form.input_frames, 0
    for layer in network.layers:
        total += rows_of(layer, rows) * _per_row(layer)
        if isinstance(layer, spec.FrontEnd):  # a hop is filtered once, though four frames read it
            total += (N_FFT // HOP - 1) * layer.hop_filter.size * _LANES
        rows = rows_of(layer, rows)
    return total


def rows_of(layer: spec.Layer, rows: int) -> int:
    """The rows that `layer` gives for so many."""
    match layer:
        case spec.PoolTime(stride):
            return rows // stride
        case spec.DropTail(dropped):
            return rows - dropped
        case _:
            return rows


def _per_row(layer: spec.Layer) -> int:  # noqa: C901  (one case a layer)
    match layer:
        case spec.FrontEnd():
            return (layer.hop_filter.size + layer.basis.size) * _LANES
        case spec.ElectrodeAffine():
            return _LANES * BINS
        case spec.BandLinear():
            return layer.weight.size * len(layer.offsets)
        case spec.CausalConv():
            return layer.weight.size
        case spec.TdsConv():
            return layer.weight.size * (len(layer.norm.gamma) // len(layer.weight))
        case spec.SkipLstm(cell):
            return _cell(cell)
        case spec.BiLstm():
            return _cell(layer.forward) + _cell(layer.backward)
        case spec.ResidualMlp():
            return layer.w1.size + layer.w2.size
        case spec.Linear():
            return layer.weight.size
        case spec.PoolTime() | spec.LayerNorm() | spec.DropTail() | spec.LogSoftmax():
            return 0
        case _:
            assert_never(layer)


def _cell(cell: spec.LstmCell) -> int:
    return cell.input.size + cell.recurrent.size
