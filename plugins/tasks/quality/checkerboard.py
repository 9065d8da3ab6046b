"""Checkerboards: what a decoder's upsampling leaves in its pictures.

Layers that double the size n times repeat their weights with periods 2, 4 .. 2^n pixels, which
shows as peaks of the error's spectrum at multiples of 1/16 cycles a pixel (n = 4)::

    e = luma of decoded - original, cut to multiples of 16          [H, W]
    P(u, v) = |DFT e|² / (H·W)²                                     power, squared 8-bit levels
    lattice: u a multiple of H/16, v a multiple of W/16, but not both 0
    energy = sum over the lattice of P - mean of P over the 24 neighbours

By Parseval's theorem the sum of all P is the mean squared error: the energy is the part of it that
periodic patterns cause and a smooth spectrum does not.  Noise has 0 on average, so one picture's
value may be a little below 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import workbench
from workbench.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.api import Picture

PERIOD = 16
REACH = 2  # neighbours lie at most this many frequencies away
SMALLEST_SIDE = PERIOD * (2 * REACH + 1)  # smaller, neighbourhoods would overlap the next peak


class Checkerboard(workbench.QualityTask):
    """Energy of the luma error at upsampling frequencies beyond that of their neighbourhood.

    ``checkerboard_energy`` is in squared 8-bit levels, as the mean squared error is;
    ``checkerboard_ratio_db`` compares the power at these frequencies with their neighbours': 0 dB
    means no pattern.
    """

    name = "checkerboard"
    audience = "any"
    citation = "frequencies after Le et al., ICIP 2022; Odena et al., Distill 2016"
    metrics = (
        workbench.Metric(
            "checkerboard_energy",
            "Checkerboard energy",
            "mean squared luma error by patterns of period 16, 8, 4 and 2",
            higher_is_better=False,
        ),
        workbench.Metric(
            "checkerboard_ratio_db",
            "Checkerboard ratio",
            "power of the luma error at upsampling frequencies over that beside them",
            "dB",
            higher_is_better=False,
        ),
    )

    def compare(
        self, originals: Sequence[Picture], images: Sequence[Picture]
    ) -> list[dict[str, float]]:
        """Return both values a pair of pictures, uint8 ``[H, W, 3]``.

        Raises:
            ImageError: a side is shorter than 80 pixels.
        """
        return [_measure(*pair) for pair in zip(originals, images, strict=True)]


def _measure(original: Picture, image: Picture) -> dict[str, float]:
    from workbench.images import RGB_TO_YCBCR

    height, width = original.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(
            f"checkerboard: {width}x{height} has a side shorter than {SMALLEST_SIDE}: its spectrum "
            "is too coarse, no value exists for this picture"
        )
    error = (image.astype(float) - original) @ RGB_TO_YCBCR[0]
    peaks, beside = lattice_power(error)
    return {
        "checkerboard_energy": peaks - beside,
        # Without any error there is no pattern.
        "checkerboard_ratio_db": 10 * math.log10(peaks / beside) if beside > 0 else 0.0,
    }


def lattice_power(error: NDArray[np.float64]) -> tuple[float, float]:
    """Power at the upsampling frequencies and the mean of that around each, summed.  [H, W]."""
    import numpy as np

    height, width = (side // PERIOD * PERIOD for side in error.shape)
    power = np.abs(np.fft.fft2(error[:height, :width]) / (height * width)) ** 2
    rows, columns = height // PERIOD, width // PERIOD
    total = np.zeros((PERIOD, PERIOD))
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            shifted = np.roll(power, (-dy, -dx), (0, 1))
            total += shifted[::rows, ::columns]
    peaks = power[::rows, ::columns]
    beside = (total - peaks) / ((2 * REACH + 1) ** 2 - 1)
    return float(peaks.sum() - peaks[0, 0]), float(beside.sum() - beside[0, 0])


@workbench.hookimpl
def workbench_tasks() -> list[type[workbench.Task]]:
    """Return the task of this module."""
    return [Checkerboard]
