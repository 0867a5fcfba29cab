"""Weights on disk: safetensors, the network's name in the header; nothing in the file can run."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch

from edge.errors import BadInput
from edge.files import write_atomically
from personalize.networks import Network, build

FILE_NAME = "network.safetensors"


def save(path: Path, network: Network, *, half: bool = False) -> None:
    """Write the weights of `network`, whole or not at all; `half` stores them as float16."""
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    write_atomically(path, safetensors_torch.save(tensors, {"network": network.name}))


def load(path: Path) -> Network:
    """Read a network, in float32 and evaluation mode. Raises BadInput where the file is not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            name = (file.metadata() or {}).get("network", "")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except OSError:
        raise BadInput(f"{path} is not there or cannot be read; train one: personalize --user ID") from None
    except SafetensorError as error:
        raise BadInput(f"{path} is not a whole safetensors file ({error}); train anew") from None
    network = build(name)
    expected = network.state_dict()
    if {key: tensor.shape for key, tensor in tensors.items()} != {k: t.shape for k, t in expected.items()}:
        raise BadInput(f"{path} does not hold the weights of a {name} network of this version; train anew")
    network.load_state_dict({key: tensor.to(expected[key].dtype) for key, tensor in tensors.items()})
    return network.eval()


def parameter_count(network: torch.nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())
