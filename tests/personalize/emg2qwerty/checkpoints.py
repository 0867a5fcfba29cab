"""Checkpoints as Lightning writes them of the reference's networks: its names and settings, our numbers."""

from __future__ import annotations

import collections
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from personalize.networks import Network, build

FRONT = ("model.0.batch_norm", "model.1.mlps.0.mlp.0", "model.1.mlps.1.mlp.0")
OURS_FRONT = ("norm.norm", "front.mlps.0", "front.mlps.1")
SPATIAL = ("model.1.feature_proj", "model.1.conv")  # the fork's own names are not known here, nor needed
OURS_SPATIAL = ("front.spatial.project", "front.spatial.conv")


def owners(kind: str) -> dict[str, str]:
    """The reference's module names in the order it registers them, and ours."""
    names = dict(zip(FRONT, OURS_FRONT, strict=True))
    if kind != "tds":
        spatial = dict(zip(SPATIAL, OURS_SPATIAL, strict=True))
        names = {FRONT[0]: OURS_FRONT[0], **spatial, **names}
    if kind == "spatial_lstm":
        encoder = "model.4"
        return names | {
            f"{encoder}.lstm_layers": "lstm",
            f"{encoder}.fc_block.fc_block.0": "mlp.inner",
            f"{encoder}.fc_block.fc_block.2": "mlp.outer",
            f"{encoder}.fc_block.layer_norm": "mlp.norm",
            f"{encoder}.out_layer": "widen",
            "model.5": "head",
        }
    for block in range(4):
        conv, full = (f"model.3.tds_conv_blocks.{2 * block + part}" for part in range(2))
        names |= {
            f"{conv}.conv2d": f"blocks.{block}.conv",
            f"{conv}.layer_norm": f"blocks.{block}.norm",
            f"{full}.fc_block.0": f"blocks.{block}.mlp.inner",
            f"{full}.fc_block.2": f"blocks.{block}.mlp.outer",
            f"{full}.layer_norm": f"blocks.{block}.mlp.norm",
        }
    return names | {"model.4": "head"}


def published(kind: str, seed: int = 0) -> Network:
    """A network with numbers unlike those it starts with, its batch norm's included."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(kind).eval()
        norm = network.norm.norm  # type: ignore[union-attr]
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.data.normal_(0.5, 0.3)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
    return network


def state_dict(network: Network) -> dict[str, Tensor]:
    ours = network.state_dict()
    return collections.OrderedDict(
        (f"{theirs}.{name.removeprefix(f'{own}.')}", tensor)
        for theirs, own in owners(network.name).items()
        for name, tensor in ours.items()
        if name.startswith(f"{own}.")
    )


def write_checkpoint(path: Path, weights: dict[str, Tensor], **more: Any) -> Path:
    """As `ModelCheckpoint` writes it, with optimiser, callbacks and OmegaConf settings."""
    moments = {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4), "exp_avg_sq": torch.zeros(4)}}
    content: dict[str, Any] = {
        "epoch": 147,
        "global_step": 17_760,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": weights,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 148}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val/CER'}": {"best_model_score": torch.tensor(18.7)}},
        "optimizer_states": [{"state": moments, "param_groups": [{"lr": 1e-3, "params": [0]}]}],
        "lr_schedulers": [{"last_epoch": 147, "_last_lr": [1e-6]}],
        "hparams_name": "kwargs",
    }
    with _omegaconf() as settings:
        content["hyper_parameters"] = {"in_features": 528, "mlp_features": [384], "optimizer": settings}
        torch.save(content | more, path)
    return path


@contextmanager
def _omegaconf() -> Iterator[Any]:
    """A settings object whose class is OmegaConf's by name, for as long as it takes to pickle it."""
    module = types.ModuleType("omegaconf.dictconfig")
    config = type("DictConfig", (), {"__module__": "omegaconf.dictconfig"})
    module.DictConfig = config  # type: ignore[attr-defined]
    sys.modules |= {"omegaconf": types.ModuleType("omegaconf"), "omegaconf.dictconfig": module}
    try:
        settings = config()
        settings.__dict__ |= {
            "_content": {"lr": 0.001},
            "_metadata": collections.defaultdict(dict),
            "_parent": None,
        }
        yield settings
    finally:
        for name in ("omegaconf", "omegaconf.dictconfig"):
            del sys.modules[name]
