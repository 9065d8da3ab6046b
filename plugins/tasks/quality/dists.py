"""Deep image structure and texture similarity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import workbench
from workbench_plugins.tasks.quality import backbones

if TYPE_CHECKING:
    from torch import nn

    from workbench.api import Picture


class Dists(workbench.QualityTask):
    """DISTS over VGG-16, by torchmetrics, at full resolution; lower is better.

    Pictures are scaled to 0..1 and, unlike in the authors' script, not resized to 256 pixels, as
    the compression literature does. The learned weights of structure and texture come with
    torchmetrics, VGG-16's weights are torchvision's.
    """

    name = "dists"
    citation = "Ding, Ma, Wang, Simoncelli, IEEE TPAMI 44(5), 2022, arXiv 2004.07728"
    requires = ("torch", "torchvision", "torchmetrics")
    extra = "perceptual"
    weights = (backbones.VGG16,)
    metrics = (
        workbench.Metric(
            "dists",
            "DISTS",
            "distance of structure and texture of VGG-16 features",
            higher_is_better=False,
            limits=(0, None),
        ),
    )

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return DISTS a pair of pictures, uint8 ``[H, W, 3]``.

        Raises:
            WeightsError: the weights of VGG-16 are missing or damaged.
        """
        return [{"dists": self._distance(*pair)} for pair in zip(originals, images, strict=True)]

    def _distance(self, original: Picture, image: Picture) -> float:
        import torch

        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            x, y = (
                torch.tensor(picture, device=self.device).permute(2, 0, 1)[None] / 255
                for picture in (original, image)
            )
            # 1 minus a sum of weights that is 1 up to rounding
            return max(0.0, float(self._network(x, y)))

    @cached_property
    def _network(self) -> nn.Module:
        from torchmetrics.functional.image import dists

        features = backbones.vgg16_features()
        # Its network has no parameter for the backbone: it would download one, unverified.
        backbone = SimpleNamespace(features=features)
        with mock.patch.object(dists, "vgg16", return_value=backbone):
            network: nn.Module = dists.DISTSNetwork()
        return network.to(self.device).eval()


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [Dists]
