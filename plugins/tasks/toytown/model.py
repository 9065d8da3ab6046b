"""Trained toytown networks: reading and writing their files, and predicting whole pictures.

A file is safetensors: convolution kernels as float16, the rest float32; its header's metadata has
`heads`, the comma-separated heads that the network was cut down to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from workbench.errors import WeightsError
from workbench_plugins.tasks.toytown import decode
from workbench_plugins.tasks.toytown.network import HEADS, ToytownNet

MULTIPLE = 32
"""Pictures are padded to multiples of the network's coarsest stride."""


def save(path: Path, state: dict[str, Tensor], heads: Sequence[str]) -> None:
    """Writes the part of a full network's state that `heads` need."""
    needed = ToytownNet(heads).state_dict()
    tensors = {
        name: state[name].half() if state[name].ndim == 4 else state[name].clone()
        for name in needed
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, path, metadata={"heads": ",".join(heads)})


def load(path: Path) -> ToytownNet:
    """Returns the network of a file, ready to predict.

    Raises:
        WeightsError: the file is missing, damaged, or not of this network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            heads = (file.metadata() or {}).get("heads", "").split(",")
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}): install it again") from None
    if not set(heads) <= set(HEADS):
        raise WeightsError(f"{path}: heads {heads} are not of a toytown network")
    net = ToytownNet(heads)
    known = {name for name in net.state_dict() if not name.endswith("num_batches_tracked")}
    if known != set(tensors):
        raise WeightsError(f"{path}: its tensors are not those of a toytown network")
    net.load_state_dict(tensors, strict=False)
    return net.eval().to(memory_format=torch.channels_last)


def stage_features(net: nn.Module, pictures: Tensor) -> list[Tensor]:
    """The outputs of a network's stages, differentiable, its own weights frozen.

    Pictures are float [B, 3, H, W] in 0..1, of any size; maps [B, C, h, w] at 1/4 to 1/32.
    """
    net.requires_grad_(False)
    pad = (0, -pictures.shape[3] % MULTIPLE, 0, -pictures.shape[2] % MULTIPLE)
    seen: list[Tensor] = []
    hooks = [
        stage.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        for stage in net.stages
    ]
    try:
        net(functional.pad(pictures, pad, mode="replicate"))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


class Predictor:
    """A network on a device: pictures of one size in, plain data out."""

    def __init__(self, net: ToytownNet, device: str = "cpu", threads: int = 1) -> None:
        self.net, self.device, self.threads = net.to(device), device, threads

    def _run(self, images: Sequence[NDArray[np.uint8]]) -> dict[str, Tensor]:
        torch.set_num_threads(self.threads)
        batch = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2).float()
        height, width = batch.shape[-2:]
        pad = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        batch = functional.pad(batch / 255, pad, mode="replicate")
        with torch.inference_mode():
            out = self.net(batch.contiguous(memory_format=torch.channels_last))
        return {name: value.float().cpu() for name, value in out.items()}

    def boxes(self, images: Sequence[NDArray[np.uint8]]) -> list[dict[str, Any]]:
        """Boxes a picture: `boxes` [n, 4] x0, y0, x1, y1 in pixels, `scores`, `labels` (category
        ids, from 1), best first."""
        height, width = images[0].shape[:2]
        out = self._run(images)
        found = []
        for heat, box in zip(out["heat"], out["box"], strict=True):
            one = decode.boxes(heat, box, width, height)
            found.append({**one, "labels": one["labels"] + 1})
        return found

    def panoptic(self, images: Sequence[NDArray[np.uint8]]) -> list[dict[str, Any]]:
        """Segments a picture: `map` uint8 [H, W] class ids, `ids` int32 [H, W] (0 void) and
        `segments`, each with `id`, `category_id` (from 1) and `score`."""
        height, width = images[0].shape[:2]
        out = self._run(images)
        found = []
        for heads in zip(out["semantic"], out["centre"], out["offset"], strict=True):
            one = decode.panoptic(*heads, width, height)
            segments = [
                {"id": s["id"], "category_id": s["label"] + 1, "score": s["score"]}
                for s in one["segments"]
            ]
            found.append({"map": one["semantic"], "ids": one["ids"], "segments": segments})
        return found
