"""Structural similarity, single scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import workbench
from workbench.errors import ImageError

if TYPE_CHECKING:
    from workbench.api import Picture

WINDOW = 11


class Ssim(workbench.QualityTask):
    """SSIM of luma, as Wang et al. define it, computed by scikit-image.

    An 11 x 11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, peak 255, population
    covariances, no downsampling, averaged over the positions where the window lies inside the
    picture. Luma is full-range BT.709 in float, not rounded.
    """

    name = "ssim"
    citation = "Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004"
    requires = ("scikit-image",)
    metrics = (
        workbench.Metric("ssim_y", "SSIM", "structural similarity of BT.709 luma", limits=(-1, 1)),
    )

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return SSIM a pair of pictures, uint8 ``[H, W, 3]``.

        Raises:
            ImageError: a side is shorter than the window.
        """
        return [{"ssim_y": _ssim(*pair)} for pair in zip(originals, images, strict=True)]


def _ssim(original: Picture, image: Picture) -> float:
    from skimage.metrics import structural_similarity

    from workbench.images import RGB_TO_YCBCR

    height, width = original.shape[:2]
    if min(height, width) < WINDOW:
        raise ImageError(
            f"ssim: {width}x{height} is smaller than its {WINDOW}x{WINDOW} window: "
            "no value exists for this picture"
        )
    value = structural_similarity(
        original @ RGB_TO_YCBCR[0],
        image @ RGB_TO_YCBCR[0],
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,  # scikit-image cuts the Gaussian at 3.5 sigma: 11 x 11
        use_sample_covariance=False,
    )
    return float(value)


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [Ssim]
