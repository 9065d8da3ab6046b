"""Released checkpoints of LIC-TCM, SA-ICM and ICM-v1, loaded as they are.

A checkpoint is a state dict, or holds one as ``state_dict``; its keys may begin with ``module.``.
Nothing in it is run.  Dimensions are read off the tensors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from workbench.errors import WeightsError

from .tcm import SLICE_CHANNELS, TcmConfig, TcmNetwork
from .weights import load_tensors, weights_id

Network = TypeVar("Network", bound=TcmNetwork)


def load_checkpoint(path: Path, kind: type[Network]) -> tuple[Network, bytes]:
    """(network, `weights_id`).

    Args:
        path: a file of ``torch.save``.
        kind: `TcmNetwork`, or `TcmAdditional` for an additional-information model.

    Raises:
        WeightsError: no checkpoint, of another architecture, keys missing or extra, or NaN.
    """
    tensors = _tensors(path)
    network = kind(_config(tensors, path.name))
    load_tensors(network, tensors, path.name)
    return network, weights_id(path)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises nearly anything
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: no checkpoint of tensors ({reason})") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: holds no state dictionary of tensors")
    return {_renamed(name.removeprefix("module.")): value for name, value in state.items()}


def _renamed(name: str) -> str:
    """As CompressAI calls it now; it has renamed the parameters of its EntropyBottleneck twice."""
    old = re.fullmatch(r"entropy_bottleneck\._(matri|bias|factor)[a-z]*\.?(\d)", name)
    plural = {"matri": "matrices", "bias": "biases", "factor": "factors"}
    return f"entropy_bottleneck.{plural[old[1]]}.{old[2]}" if old else name


def _config(tensors: dict[str, Tensor], source: str) -> TcmConfig:
    first, last = tensors.get("g_a.0.conv1.weight"), tensors.get("g_a.9.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise WeightsError(
            f"{source}: lacks g_a.0.conv1.weight or g_a.9.weight: it is of another architecture "
            "than LIC-TCM"
        )
    return TcmConfig(n=len(first) // 2, slices=len(last) // SLICE_CHANNELS)
