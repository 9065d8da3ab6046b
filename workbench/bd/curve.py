"""A rate-distortion curve as it was measured, and what is wrong with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError

Array = NDArray[np.float64]

MIN_POINTS = 4
"""VCEG-M33 fits four points; fewer leave a cubic undetermined."""

SATURATION_SLOPE = 0.1
"""A curve is saturated when its last step gains less than this share of its steepest step,
both in quality per decade of rate. PSNR curves keep about half of their steepest slope."""

LARGEST = 1e30
"""No rate or quality is beyond this; cubes of it are still far from the end of float64."""


class Curve:
    """The points of one codec on one metric, in any order.

    Points with a missing or infinite rate or quality (a failed cell; the PSNR of a lossless
    picture) are left out, and ``warnings`` names them.

    Args:
        rate: [n_points], above 0; any unit, the same one for all curves compared.
        quality: [n_points], any unit.
        name: what messages call this curve.

    Raises:
        WorkbenchError: the lengths differ, a value is no number, a rate is 0 or negative, or a
            finite value is beyond 1e30.
    """

    rate: Array  # [n], finite, > 0, ascending
    quality: Array  # [n], finite
    name: str
    warnings: tuple[str, ...]

    def __init__(self, rate: ArrayLike, quality: ArrayLike, name: str = "curve") -> None:
        self.name = name
        rates = _numbers(rate, name, "rate")
        qualities = _numbers(quality, name, "quality")
        if rates.shape != qualities.shape:
            raise WorkbenchError(
                f"{name}: {rates.size} rates but {qualities.size} qualities: give one quality "
                "a rate"
            )
        if (bad := np.flatnonzero(rates <= 0)).size:
            raise WorkbenchError(
                f"{name}: rate {rates[bad[0]]:g} at point {bad[0] + 1} must be above 0"
            )
        for what, values in (("rate", rates), ("quality", qualities)):
            if (bad := np.flatnonzero(np.isfinite(values) & (np.abs(values) > LARGEST))).size:
                raise WorkbenchError(
                    f"{name}: {what} {values[bad[0]]:g} at point {bad[0] + 1} is beyond "
                    f"{LARGEST:g}: is it in the right unit?"
                )
        usable = np.isfinite(rates) & np.isfinite(qualities)
        self.warnings = tuple(
            f"missing: {name}: point {i + 1} (rate {rates[i]:g}, quality {qualities[i]:g}) left out"
            for i in np.flatnonzero(~usable)
        )
        order = np.lexsort((qualities[usable], rates[usable]))
        self.rate = rates[usable][order]
        self.quality = qualities[usable][order]

    def __len__(self) -> int:
        return int(self.rate.size)

    def __repr__(self) -> str:
        return f"Curve({self.rate.tolist()}, {self.quality.tolist()}, name={self.name!r})"


def oriented(curve: Curve, higher_is_better: bool) -> tuple[Array, Array]:
    """Return (log10 rate, quality), both [n]; the quality negated where lower is better."""
    return np.log10(curve.rate), curve.quality if higher_is_better else -curve.quality


def shape_warnings(curve: Curve, higher_is_better: bool) -> list[str]:
    """Name ties, dips, saturation and a lack of points in one curve."""
    found = list(curve.warnings)
    if len(curve) < MIN_POINTS:
        found.append(f"few-points: {curve.name}: {len(curve)} points, fewer than {MIN_POINTS}")
    for axis, values in (("rate", curve.rate), ("quality", curve.quality)):
        unique, counts = np.unique(values, return_counts=True)
        if (tied := unique[counts > 1]).size:
            shared = ", ".join(f"{v:g}" for v in tied)
            found.append(f"tie: {curve.name}: several points have {axis} {shared}")
    log_rate, quality = oriented(curve, higher_is_better)
    gain, decades = np.diff(quality), np.diff(log_rate)
    worse = np.flatnonzero((gain < 0) & (decades > 0))
    if worse.size and worse.size == gain.size:
        found.append(
            f"falling: {curve.name}: quality gets worse with every step of rate: "
            f"is {'lower' if higher_is_better else 'higher'} better here?"
        )
    elif worse.size:
        steps = ", ".join(
            f"{curve.quality[i]:g} to {curve.quality[i + 1]:g} at rate {curve.rate[i + 1]:g}"
            for i in worse
        )
        found.append(f"dip: {curve.name}: quality gets worse from {steps}")
    slope = gain[decades > 0] / decades[decades > 0]
    if slope.size > 1 and 0 <= slope[-1] < SATURATION_SLOPE * slope.max():
        found.append(
            f"saturation: {curve.name}: the last step gains "
            f"{100 * slope[-1] / slope.max():.1f} % of the steepest one (per decade of rate)"
        )
    return found


def _numbers(values: ArrayLike, name: str, what: str) -> Array:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise WorkbenchError(f"{name}: {what} must be numbers: {error}") from error
    if numbers.ndim != 1:
        raise WorkbenchError(f"{name}: {what} must be a list of numbers, got {numbers.ndim} axes")
    return numbers
