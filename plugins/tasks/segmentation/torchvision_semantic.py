"""torchvision's semantic segmenters, trained on COCO pictures with Pascal VOC's classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench.errors import WeightsError
from workbench.weights import WeightFile
from workbench_plugins.tasks.segmentation.base import SemanticTask

if TYPE_CHECKING:
    from torch import nn

    from workbench.api import Picture

SOURCE = "https://download.pytorch.org/models/"
LICENCE = "BSD-3-Clause (torchvision); trained on COCO"
PUBLISHED = "COCO_WITH_VOC_LABELS_V1"
AUXILIARY = "aux_classifier."
# Pascal VOC's classes, called as COCO calls them, whose pictures the networks were trained on.
CLASSES = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch",
    "train", "tv",
)  # fmt: skip


def published(name: str, size_mb: float) -> WeightFile:
    """Return a file of torchvision's; upstream has eight digits of the SHA-256 in its name."""
    digits = name.removesuffix(".pth").rpartition("-")[2]
    return WeightFile(name, SOURCE + name, digits, size_mb, LICENCE)


class TorchvisionSegmenter(SemanticTask):
    """A network of torchvision, with its published weights and preprocessing.

    The shorter side is scaled to 520 pixels, as published; the scores of the classes are scaled
    back bilinearly before the best is taken.
    """

    requires = ("torch", "torchvision")
    extra = "machine"
    classes = CLASSES
    batch = 4
    architecture: ClassVar[str]
    """torchvision's name of the network."""

    def predict(self, images: Sequence[Picture]) -> list[Any]:
        """Return ``{"map": uint8 [H, W] indices of CLASSES}`` a picture, all of one size."""
        import numpy as np
        import torch
        from torch.nn import functional

        torch.set_num_threads(self.threads)
        size = images[0].shape[:2]
        with torch.inference_mode():
            x = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2)
            scores = self._network(self._prepare(x))["out"]  # [B, 21, h, w]
            scores = functional.interpolate(scores, size, mode="bilinear", align_corners=False)
            maps = scores.argmax(dim=1).to(torch.uint8).cpu().numpy()
        return [{"map": one} for one in maps]

    @cached_property
    def _prepare(self) -> Any:
        import torchvision

        return torchvision.models.get_model_weights(self.architecture)[PUBLISHED].transforms()

    @cached_property
    def _network(self) -> nn.Module:
        [file] = self.weights
        state = weights.load(file)
        network = build(self.architecture)
        try:
            # A second head serves training only.
            network.load_state_dict(
                {key: value for key, value in state.items() if not key.startswith(AUXILIARY)},
                assign=True,
            )
        except RuntimeError as error:
            raise WeightsError(f"{file.name}: is not torchvision's network ({error})") from None
        return network.eval().requires_grad_(False).to(self.device)


def build(architecture: str) -> nn.Module:
    """Return a network without values, on torch's meta device."""
    import torch
    import torchvision

    extra = {} if architecture.startswith("lraspp") else {"aux_loss": False}
    with torch.device("meta"):
        network: nn.Module = torchvision.models.get_model(
            architecture, weights=None, weights_backbone=None, num_classes=len(CLASSES), **extra
        )
    return network


class DeepLabV3MobileNet(TorchvisionSegmenter):
    """DeepLabv3 over MobileNetV3-Large: 60.3 mIoU on COCO val2017 with VOC's classes."""

    name = "deeplabv3-mobilenet-v3"
    architecture = "deeplabv3_mobilenet_v3_large"
    weights = (published("deeplabv3_mobilenet_v3_large-fc3c493d.pth", 42.3),)
    citation = "Chen, Papandreou, Schroff, Adam, arXiv 1706.05587"


class DeepLabV3ResNet50(TorchvisionSegmenter):
    """DeepLabv3 over ResNet-50: 66.4 mIoU on COCO val2017 with VOC's classes."""

    name = "deeplabv3-resnet50"
    architecture = "deeplabv3_resnet50"
    weights = (published("deeplabv3_resnet50_coco-cd0a2569.pth", 160.5),)
    citation = "Chen, Papandreou, Schroff, Adam, arXiv 1706.05587"


class FcnResNet50(TorchvisionSegmenter):
    """Fully convolutional network over ResNet-50: 60.5 mIoU on COCO val2017, VOC's classes."""

    name = "fcn-resnet50"
    architecture = "fcn_resnet50"
    weights = (published("fcn_resnet50_coco-1167a1af.pth", 135.0),)
    citation = "Long, Shelhamer, Darrell, CVPR 2015, arXiv 1411.4038"


class LrAsppMobileNet(TorchvisionSegmenter):
    """Lite R-ASPP over MobileNetV3-Large: 57.9 mIoU on COCO val2017 with VOC's classes."""

    name = "lraspp-mobilenet-v3"
    architecture = "lraspp_mobilenet_v3_large"
    weights = (published("lraspp_mobilenet_v3_large-d234d4ea.pth", 12.5),)
    citation = "Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv 1905.02244"


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the tasks of this module."""
    return [DeepLabV3MobileNet, DeepLabV3ResNet50, FcnResNet50, LrAsppMobileNet]
