"""Structural similarity over five scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import workbench
from workbench.errors import ImageError

if TYPE_CHECKING:
    from workbench.api import Picture

SMALLEST_SIDE = 161  # an 11-pixel window at 1/16 of the size, as pytorch-msssim asks for


class MsSsim(workbench.QualityTask):
    """MS-SSIM as Wang et al. define it, of R, G and B, averaged; computed by pytorch-msssim.

    Five scales with the exponents 0.0448, 0.2856, 0.3001, 0.2363, 0.1333, an 11 x 11 Gaussian
    window of sigma 1.5, K1 = 0.01, K2 = 0.03, peak 255. This is the MS-SSIM of the learned
    compression literature, in float32 as there: on photographs within 1e-5 of float64.
    ``ms_ssim_db`` = -10 log10(1 - MS-SSIM), inf for equal pictures.
    """

    name = "ms-ssim"
    citation = "Wang, Simoncelli, Bovik, Asilomar Conference, 2003"
    requires = ("torch", "pytorch-msssim")
    extra = "perceptual"
    metrics = (
        workbench.Metric(
            "ms_ssim_rgb",
            "MS-SSIM",
            "structural similarity over five scales, mean of R, G, B",
            limits=(0, 1),
        ),
        workbench.Metric("ms_ssim_db", "MS-SSIM", "-10 log10(1 - MS-SSIM)", "dB", limits=(0, None)),
    )

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return both values a pair of pictures, uint8 ``[H, W, 3]``.

        Raises:
            ImageError: a side is shorter than 161 pixels.
        """
        values = [self._ms_ssim(*pair) for pair in zip(originals, images, strict=True)]
        return [{"ms_ssim_rgb": value, "ms_ssim_db": decibels(value)} for value in values]

    def _ms_ssim(self, original: Picture, image: Picture) -> float:
        import torch
        from pytorch_msssim import ms_ssim

        height, width = original.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"ms-ssim: {width}x{height} has a side shorter than {SMALLEST_SIDE}: "
                "five scales need more, no value exists for this picture"
            )
        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            x, y = (
                torch.tensor(picture, device=self.device).permute(2, 0, 1)[None].float()
                for picture in (original, image)
            )
            value = float(ms_ssim(x, y, data_range=255, size_average=False))
        return min(value, 1.0)  # float32 sums of equal pictures may end a rounding above 1


def decibels(ms_ssim: float) -> float:
    """Return -10 log10(1 - ms_ssim), inf for 1."""
    return -10 * math.log10(1 - ms_ssim) if ms_ssim < 1 else math.inf


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [MsSsim]
