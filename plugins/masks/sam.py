"""Segment Anything: edges of its segmentation map, SA-ICM's masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights
from workbench.errors import WeightsError
from workbench.weights import WeightFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

META = "https://dl.fbaipublicfiles.com/segment_anything/"
MOBILE = (
    "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/"
    "f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/"
)
LICENCE = "Apache-2.0"
# Neither is published. A step of the palette, 51, across a straight edge gives Sobel sums of
# 4 * 51 = 204: every border between two masks is above the upper threshold.
CANNY_LOW, CANNY_HIGH = 100, 200
LEVELS = (0, 51, 102, 153, 204, 255)
POINTS_PER_SIDE = 32
DEFAULT_ALPHA = 0.93  # the middle one of those published: .98, .93, .48


class SegmentAnything(workbench.Segmenter):
    """Segment Anything, ViT-H: Canny edges of the map of all masks of predicted IoU >= alpha.

    The automatic mask generator with its published settings (32 x 32 points, stability 0.95, box
    NMS 0.7); Canny with thresholds 100 and 200 on the map, a colour a mask.
    """

    name = "sam"
    requires = ("segment-anything", "torch", "torchvision", "opencv-python-headless")
    extra = "sam"
    device_bound = True
    citation = "Kirillov et al., Segment Anything, ICCV 2023, arXiv 2304.02643; SA-ICM 2403.04173"
    weights = (
        WeightFile(
            "sam_vit_h_4b8939.pth",
            META + "sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            2445.7,
            LICENCE,
        ),
    )
    architecture: ClassVar[str] = "vit_h"
    """Its name in the package's table of models."""
    package: ClassVar[str] = "segment_anything"
    default_alpha = DEFAULT_ALPHA

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "canny": [CANNY_LOW, CANNY_HIGH], "points": POINTS_PER_SIDE}

    def mask(self, dataset: workbench.Dataset, item: workbench.Item) -> NDArray[np.uint8]:
        import torch

        torch.set_num_threads(self.threads)
        found = self._generator.generate(dataset.load(item))
        # Large masks first, so that what lies inside them is seen.
        found.sort(key=lambda one: -one["area"])
        return canny(segmentation_map([one["segmentation"] for one in found], item))

    @cached_property
    def _generator(self) -> Any:
        from importlib import import_module

        package = import_module(self.package)
        return package.SamAutomaticMaskGenerator(
            self._network, pred_iou_thresh=self.alpha, points_per_side=POINTS_PER_SIDE
        )

    @cached_property
    def _network(self) -> nn.Module:
        from importlib import import_module

        [file] = self.weights
        network: nn.Module = import_module(self.package).sam_model_registry[self.architecture]()
        try:
            network.load_state_dict(weights.load(file))
        except RuntimeError as error:
            what = str(error).partition("\n")[0]
            raise WeightsError(f"{file.name}: is not Segment Anything's {what}") from None
        return network.eval().requires_grad_(False).to(self.device)


class SegmentAnythingL(SegmentAnything):
    """Segment Anything, ViT-L; masks as by `sam`."""

    name = "sam-vit-l"
    architecture = "vit_l"
    weights = (
        WeightFile(
            "sam_vit_l_0b3195.pth",
            META + "sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            1191.6,
            LICENCE,
        ),
    )


class SegmentAnythingB(SegmentAnything):
    """Segment Anything, ViT-B; masks as by `sam`."""

    name = "sam-vit-b"
    architecture = "vit_b"
    weights = (
        WeightFile(
            "sam_vit_b_01ec64.pth",
            META + "sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            357.7,
            LICENCE,
        ),
    )


class MobileSam(SegmentAnything):
    """MobileSAM, a small encoder distilled from ViT-H; masks as by `sam`."""

    name = "mobile-sam"
    requires = ("mobilesam-mirror", "timm", "torch", "torchvision", "opencv-python-headless")
    extra = ""
    architecture = "vit_t"
    package = "mobile_sam"
    citation = "Zhang et al., Faster Segment Anything, arXiv 2306.14289"
    weights = (
        WeightFile(
            "mobile_sam.pt",
            MOBILE + "mobile_sam.pt",
            "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            38.8,
            LICENCE,
        ),
    )


def palette(number: int) -> tuple[int, int, int]:
    """Colour of mask 0, 1, 2 ...: all of a 6 x 6 x 6 cube but black, then from the start."""
    # 71 has no common factor with 215, so neighbours in number are far apart in colour.
    code = 1 + 71 * number % (len(LEVELS) ** 3 - 1)
    return LEVELS[code // 36], LEVELS[code // 6 % 6], LEVELS[code % 6]


def segmentation_map(masks: Sequence[NDArray[np.bool_]], item: workbench.Item) -> NDArray[np.uint8]:
    """Paint masks, bool ``[H, W]``, one over the other: uint8 ``[H, W, 3]``, black for none."""
    import numpy as np

    painted = np.zeros((item.height, item.width, 3), np.uint8)
    for number, mask in enumerate(masks):
        painted[mask] = palette(number)
    return painted


def canny(painted: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Canny edges of a segmentation map ``[H, W, 3]``: 0 or 255, uint8 ``[H, W]``."""
    import cv2
    import numpy as np

    return np.asarray(cv2.Canny(painted, CANNY_LOW, CANNY_HIGH), np.uint8)


@workbench.hookimpl
def workbench_segmenters() -> list[type[workbench.Segmenter]]:
    """Return the segmenters of this module."""
    return [SegmentAnything, SegmentAnythingL, SegmentAnythingB, MobileSam]
