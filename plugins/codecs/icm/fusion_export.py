"""What `export` does for an additional model: its weights file, and its two layers as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import WeightsError

from .fusion import DEFAULT_BASE_LEVEL, AdditionalNetwork, FusionConfig
from .fusion_coder import FusionCoder
from .weights import load_fusion, load_tensors, load_weights, save_fusion


def export_fusion(state: dict[str, Any], path: Path, base: Path) -> AdditionalNetwork:
    """Write the additional model of a checkpoint's averaged weights; return it.

    Raises:
        WeightsError: it was trained over another base than the file `base`, or is broken.
    """
    parts: dict[str, dict[str, torch.Tensor]] = {"base": {}, "additional": {}}
    for name, value in state["ema"].items():
        which, _, rest = name.partition(".")
        parts[which][rest] = value
    shipped, _ = load_weights(base)
    for name, value in shipped.state_dict().items():
        if value.is_floating_point() and not torch.equal(value, parts["base"][name]):
            raise WeightsError(
                f"{path.name}: was trained over other weights than {base.name}, {name} differs: "
                "ship the base that it was trained over, or train it anew"
            )
    network = AdditionalNetwork(FusionConfig.from_dict(state["config"]))
    load_tensors(network, parts["additional"], path.name)
    save_fusion(network, path, base)
    return network


class TotalCoder:
    """The two layers as `export` measures them: both counted, decoded for people."""

    def __init__(self, path: Path, base: Path) -> None:
        self._coder = FusionCoder(load_weights(base), load_fusion(path, base))

    def compress(self, picture: NDArray[np.uint8], level: float) -> dict[str, bytes]:
        """Both layers at a level of the enhancement, over the level of the base that is listed."""
        return self._coder.compress(picture, DEFAULT_BASE_LEVEL, level)

    def decompress(self, layers: dict[str, bytes]) -> NDArray[np.uint8]:
        """The picture for people."""
        return self._coder.decompress(**layers)
