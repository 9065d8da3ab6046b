"""Learned perceptual image patch similarity."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import workbench
from workbench.errors import ImageError
from workbench_plugins.tasks.quality import backbones

if TYPE_CHECKING:
    from torch import nn

    from workbench.api import Picture

SMALLEST_SIDE = 31  # AlexNet's second pooling has nothing left below this


class Lpips(workbench.QualityTask):
    """LPIPS 0.1 over AlexNet, by the authors' package, at full resolution; lower is better.

    Pictures are scaled to -1..1, as the authors do. The linear heads come with the package,
    AlexNet's weights are torchvision's.
    """

    name = "lpips"
    citation = "Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, arXiv 1801.03924"
    requires = ("torch", "torchvision", "lpips")
    extra = "perceptual"
    weights = (backbones.ALEXNET,)
    metrics = (
        workbench.Metric(
            "lpips",
            "LPIPS",
            "distance of AlexNet features, version 0.1",
            higher_is_better=False,
            limits=(0, None),
        ),
    )

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return LPIPS a pair of pictures, uint8 ``[H, W, 3]``.

        Raises:
            ImageError: a side is shorter than 31 pixels.
            WeightsError: AlexNet's weights are missing or damaged.
        """
        return [{"lpips": self._distance(*pair)} for pair in zip(originals, images, strict=True)]

    def _distance(self, original: Picture, image: Picture) -> float:
        import torch

        height, width = original.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"lpips: {width}x{height} has a side shorter than {SMALLEST_SIDE}: "
                "AlexNet has no features of this picture"
            )
        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            x, y = (
                torch.tensor(picture, device=self.device).permute(2, 0, 1)[None] / 127.5 - 1
                for picture in (original, image)
            )
            return float(self._network(x, y))

    @cached_property
    def _network(self) -> nn.Module:
        import lpips

        with warnings.catch_warnings():
            # The package names torchvision's weights in a way that torchvision deprecated.
            warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
            network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
        # The package cuts torchvision's layers into slices that keep their numbers:
        # slice3.6.weight is features.6.weight.
        features = backbones.alexnet_features().state_dict()
        network.net.load_state_dict(
            {key: features[key.partition(".")[2]] for key in network.net.state_dict()}
        )
        return network.to(self.device)


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [Lpips]
