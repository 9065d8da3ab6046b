"""A small semantic segmenter, about 1 M parameters: its network, its files, its tasks.

The network is the backbone and semantic head of toytown's, for any table of classes. A file is
safetensors: convolution kernels as float16, the rest float32; ``classes`` in its header's metadata
is the table of classes, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench.errors import WeightsError
from workbench_datasets.camvid import CLASSES as CAMVID_CLASSES
from workbench_plugins.tasks.segmentation.base import SemanticTask

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.api import Picture
    from workbench_plugins.tasks.toytown.network import ToytownNet

FOLDER = Path(__file__).parents[2] / "weights"
MULTIPLE = 32
"""Pictures are padded to multiples of the network's coarsest stride."""


def build(n_classes: int) -> ToytownNet:
    """Return the network with random values: RGB in 0..1 to ``semantic`` [B, n, H/4, W/4]."""
    from torch import nn

    from workbench_plugins.tasks.toytown.network import ToytownNet

    network = ToytownNet(("semantic",))
    head = network.heads["semantic"]
    assert isinstance(head, nn.Conv2d)
    network.heads["semantic"] = nn.Conv2d(head.in_channels, n_classes, 1)
    return network


def save(path: Path, state: dict[str, Tensor], classes: Sequence[str]) -> None:
    """Write a network's values and its table of classes."""
    from safetensors.torch import save_file

    tensors = {
        name: value.half() if value.ndim == 4 else value.clone()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, path, metadata={"classes": json.dumps(list(classes))})


def load(path: Path) -> tuple[ToytownNet, list[str]]:
    """Return the network of a file, ready to predict, and its table of classes.

    Raises:
        WeightsError: the file is missing, damaged, or not of this network.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            classes = json.loads((file.metadata() or {})["classes"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsError(f"{path}: cannot be read ({error!r}): install it again") from None
    network = build(len(classes))
    wanted = {n: v.shape for n, v in network.state_dict().items() if "num_batches" not in n}
    if wanted != {name: value.shape for name, value in tensors.items()}:
        raise WeightsError(f"{path}: its tensors are not those of a small segmenter")
    network.load_state_dict(tensors, strict=False)
    return network.eval().to(memory_format=torch.channels_last), classes


def class_scores(network: ToytownNet, batch: Tensor) -> Tensor:
    """Map RGB in 0..1 ``[B, 3, H, W]`` of any size to scores of classes ``[B, n, H, W]``."""
    import torch
    from torch.nn import functional

    height, width = batch.shape[-2:]
    pad = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
    padded = functional.pad(batch, pad, mode="replicate").contiguous(
        memory_format=torch.channels_last
    )
    scores = network(padded)["semantic"]
    scores = functional.interpolate(scores.float(), padded.shape[-2:], mode="bilinear")
    return scores[..., :height, :width]


class SmallSegmenter(SemanticTask):
    """A segmenter of your own: subclasses name it, its ``file`` and its ``classes``."""

    requires = ("torch", "safetensors")
    extra = "learned"
    file: ClassVar[Path]

    @classmethod
    def unavailable(cls) -> str | None:
        """Also where its file is missing."""
        if reason := super().unavailable():
            return reason
        if not cls.file.is_file():
            return (
                f"needs weights: python -m workbench_plugins.tasks.segmentation.train "
                f"--out {cls.file}"
            )
        return None

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        """The hash of its file."""
        return {cls.file.name: weights.sha256(cls.file)}

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return ``{"map": uint8 [H, W] indices of classes}`` a picture, all of one size."""
        import numpy as np
        import torch

        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2) / 255
            maps = class_scores(self._network, batch).argmax(dim=1).to(torch.uint8).cpu().numpy()
        return [{"map": one} for one in maps]

    def features(self, pictures: Tensor) -> Sequence[Tensor]:
        """The outputs of the network's stages."""
        from workbench_plugins.tasks.toytown.model import stage_features

        return stage_features(self._network, pictures)

    @cached_property
    def _network(self) -> ToytownNet:
        network, classes = load(self.file)
        if classes != list(self.classes):
            raise WeightsError(f"{self.file}: knows {classes}, {self.name} has {self.classes}")
        return network.to(self.device)


class CamVidSegmenter(SmallSegmenter):
    """Street scenes in CamVid's eleven classes, trained on its training split."""

    name = "camvid-segmenter"
    classes = CAMVID_CLASSES
    file = FOLDER / "camvid-segmenter.safetensors"
    citation = "this project"


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [CamVidSegmenter]
