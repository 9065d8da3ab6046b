"""Peak signal-to-noise ratio of RGB, of luma, and of YCbCr weighted 6:1:1.

With d the RGB difference of a pixel (a 3-vector) and S = the sum of d dᵀ over N pixels::

    MSE_RGB = trace(S) / 3N        over all 3·H·W samples
    MSE_c   = mᵀ S m / N           c in Y, Cb, Cr; m = c's row of the BT.709 matrix

because the YCbCr difference is the matrix times the RGB difference: the offsets cancel, and with
float planes, not rounded, nothing else happens on the way. So one pass over whole numbers gives
all, and exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import workbench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.api import Picture

PEAK = 255
# The rows of BT.709's matrix as fractions: Y, (B - Y) / 1.8556 and (R - Y) / 1.5748. In floats, a
# grey picture would get a chroma error of rounding noise instead of none.
LUMA = (2126, 7152, 722), 10000
BLUE = (-2126, -7152, 9278), 18556
RED = (7874, -7152, -722), 15748
# A float32 holds whole numbers up to 2^24 = 16,777,216 and 256 * 255^2 = 16,646,400: sums of 256
# products are exact, on every machine, whatever the order in which its BLAS adds.
ROWS = 256
# BLAS is slow on 3-column matrices: four pixels side by side take 0.6 of the time.
PIXELS = 4
CHUNK = 3 * PIXELS * ROWS * 16  # samples a step: 16,384 pixels, which stay in the cache


class Psnr(workbench.QualityTask):
    """PSNR-RGB, PSNR-Y and PSNR-YUV of 8-bit pictures, in dB with peak 255.

    YCbCr is full-range BT.709 in float, not rounded. PSNR-YUV = (6 PSNR-Y + PSNR-Cb + PSNR-Cr) / 8
    (Ohm et al., "Comparison of the Coding Efficiency of Video Coding Standards", TCSVT 2012), here
    at full chroma resolution. Planes without any difference have inf, so grey pictures that stay
    grey have a PSNR-YUV of inf.
    """

    name = "psnr"
    citation = "6:1:1 weights: Ohm et al., IEEE TCSVT 22(12), 2012"
    metrics = (
        workbench.Metric(
            "psnr_rgb",
            "PSNR-RGB",
            "PSNR of the mean squared error over R, G and B",
            "dB",
            limits=(0, None),
            pool="mse",
        ),
        workbench.Metric(
            "psnr_y",
            "PSNR-Y",
            "PSNR of BT.709 luma",
            "dB",
            limits=(0, None),
            pool="mse",
        ),
        workbench.Metric(
            "psnr_yuv",
            "PSNR-YUV",
            "PSNR of BT.709 Y, Cb and Cr, weighted 6:1:1 in dB",
            "dB",
            limits=(0, None),
        ),
    )

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return the three values a pair of pictures, uint8 ``[H, W, 3]``."""
        return [_psnrs(*pair) for pair in zip(originals, images, strict=True)]


def _psnrs(original: Picture, image: Picture) -> dict[str, float]:
    n = original.shape[0] * original.shape[1]
    # Python's whole numbers do not overflow: 2^28 pixels times 255^2 times 9278^2 is 1e21.
    sums = [[int(value) for value in row] for row in difference_products(original, image)]
    y, cb, cr = (
        decibels(sum(a * b * sums[i][j] for i, a in enumerate(m) for j, b in enumerate(m)) / scale)
        for m, scale in ((m, n * unit**2) for m, unit in (LUMA, BLUE, RED))
    )
    return {
        "psnr_rgb": decibels(sum(sums[i][i] for i in range(3)) / (3 * n)),
        "psnr_y": y,
        "psnr_yuv": (6 * y + cb + cr) / 8,
    }


def difference_products(original: Picture, image: Picture) -> NDArray[np.float64]:
    """Return S ``[3, 3]``, the exact sum over pixels of d dᵀ, d = original - image."""
    import numpy as np

    ours, theirs = original.reshape(-1), image.reshape(-1)
    width = 3 * PIXELS
    gram = np.zeros((width, width))
    for start in range(0, ours.size, CHUNK):
        part = ours[start : start + CHUNK]
        blocks = -(-part.size // (ROWS * width))
        difference = np.zeros(blocks * ROWS * width, np.float32)  # zeros behind the picture's end
        np.subtract(
            part, theirs[start : start + CHUNK], out=difference[: part.size], dtype=np.float32
        )
        d = difference.reshape(blocks, ROWS, width)
        gram += np.matmul(d.transpose(0, 2, 1), d).sum(0, dtype=np.float64)
    # The 3 x 3 blocks on the diagonal belong to one pixel, the others to two.
    return np.asarray(gram.reshape(PIXELS, 3, PIXELS, 3).trace(axis1=0, axis2=2))


def decibels(mse: float) -> float:
    """Return 10 log10(255² / mse), inf for no error."""
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else math.inf


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [Psnr]
