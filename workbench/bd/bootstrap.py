"""Confidence intervals of a BD value: resample images, redo both curves, take percentiles.

Every codec saw the same images, so both curves are made from the same resample (paired bootstrap;
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993): what makes a picture hard for both
codecs then cancels. Draw the weights once and pass them to every codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from workbench.bd.batch import pchip_gaps
from workbench.bd.curve import Array, Curve
from workbench.bd.delta import BDResult, delta, gap_to_value
from workbench.bd.fit import Kind, UndefinedError, average_gap
from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class ResampledCurves:
    """One codec's curve, and the same curve on each resample of the images.

    Build it with :func:`mean_curves` or :func:`pooled_curves`, or directly where a metric is no
    mean over images (mAP): compute the points of each resample yourself.

    Attributes:
        curve: the curve on all images.
        rate, quality: [n_resamples, n_points]; a resample with a NaN in it counts as one without
            a value.
    """

    curve: Curve
    rate: Array
    quality: Array

    def __post_init__(self) -> None:
        if self.rate.ndim != 2 or self.rate.shape != self.quality.shape:
            raise WorkbenchError(
                f"{self.curve.name}: rate {self.rate.shape} and quality {self.quality.shape} "
                "must both be [n_resamples, n_points]"
            )
        if (self.rate <= 0).any():
            raise WorkbenchError(
                f"{self.curve.name}: rate {np.nanmin(self.rate):g} in a resample must be above 0"
            )


@dataclass(frozen=True)
class BDInterval:
    """A BD value with its interval.

    Attributes:
        result: the value on all images, with its warnings.
        low, high: percentiles in the value's unit; None where ``reason`` says why.
        level: share of resamples between them, e.g. 0.95.
        resamples: how many were drawn.
        no_overlap: how many of them gave no value; the percentiles leave these out.
    """

    result: BDResult
    low: float | None
    high: float | None
    level: float
    resamples: int
    no_overlap: int
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: no NaN, no infinity."""
        return asdict(self) | {"result": self.result.to_dict()}


def resampling_weights(n_images: int, resamples: int = 1000, seed: int = 0) -> Array:
    """Return [resamples, n_images]: the share each image has in each resample; rows sum to 1.

    The same arguments give the same weights.
    """
    if n_images < 2:
        raise WorkbenchError(f"{n_images} image cannot be resampled: give two or more")
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=resamples)
    return counts / n_images


def mean_curves(
    rate: ArrayLike, quality: ArrayLike, weights: Array, name: str = "curve"
) -> ResampledCurves:
    """Average per-image values, each [n_points, n_images], over every resample."""
    rates, qualities = _per_image(rate, weights, name), _per_image(quality, weights, name)
    return _resampled(rates, qualities, np.ones(weights.shape[1]), weights, name, None)


def pooled_curves(
    bits: ArrayLike,
    pixels: ArrayLike,
    values: ArrayLike,
    weights: Array,
    quality_of: Callable[[Array], Array],
    name: str = "curve",
) -> ResampledCurves:
    """Pool every resample: total bits / total pixels, ``quality_of(pixel-weighted mean value)``.

    Args:
        bits, values: [n_points, n_images]; for pooled PSNR ``values`` are the images' MSEs and
            ``quality_of`` is ``lambda mse: 10 * np.log10(255**2 / mse)``.
        pixels: [n_images].
        weights: [n_resamples, n_images] from :func:`resampling_weights`.
    """
    totals, each = _per_image(bits, weights, name), _per_image(values, weights, name)
    sizes = np.asarray(pixels, dtype=np.float64)
    if sizes.shape != weights.shape[1:] or not (sizes > 0).all():
        raise WorkbenchError(
            f"{name}: pixels must be {weights.shape[1]} numbers above 0, got shape {sizes.shape}"
        )
    return _resampled(totals, each, sizes, weights, name, quality_of)


def bootstrap(
    anchor: ResampledCurves,
    test: ResampledCurves,
    *,
    kind: Kind = "rate",
    method: str = "pchip",
    higher_is_better: bool = True,
    level: float = 0.95,
) -> BDInterval:
    """Return the percentile interval of a BD value over paired resamples.

    Raises:
        WorkbenchError: unknown method, level outside 0..1, or different numbers of resamples.
    """
    resamples = len(anchor.rate)
    if resamples != len(test.rate) or not resamples:
        raise WorkbenchError(
            f"{resamples} resamples of {anchor.curve.name} but {len(test.rate)} of "
            f"{test.curve.name}: use the same weights for both"
        )
    if not 0 < level < 1:
        raise WorkbenchError(f"level {level:g} is outside 0..1, e.g. 0.95")
    result = delta(anchor.curve, test.curve, kind, method, higher_is_better)
    values = _values(anchor, test, kind, method, higher_is_better)
    known = values[np.isfinite(values)]
    missing = resamples - known.size
    if result.value is None or 2 * missing > resamples:
        why = result.reason or f"{missing} of {resamples} resamples gave no value"
        return BDInterval(result, None, None, level, resamples, missing, why)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return BDInterval(result, float(low), float(high), level, resamples, missing, None)


def _values(
    anchor: ResampledCurves, test: ResampledCurves, kind: Kind, method: str, higher: bool
) -> Array:
    """Return the BD value of every resample [R], NaN where there is none."""
    sign = 1.0 if higher else -1.0
    anchor_points = np.log10(anchor.rate), sign * anchor.quality
    test_points = np.log10(test.rate), sign * test.quality
    values = np.full(len(anchor.rate), np.nan)
    if method == "pchip":
        gaps, done = pchip_gaps(anchor_points, test_points, kind)
    else:
        gaps, done = values.copy(), np.zeros(values.size, dtype=bool)
    finite = np.all([np.isfinite(a).all(axis=1) for a in (*anchor_points, *test_points)], axis=0)
    for r in np.flatnonzero(finite):
        try:
            gap = gaps[r]
            if not done[r]:
                gap, _ = average_gap(
                    (anchor_points[0][r], anchor_points[1][r]),
                    (test_points[0][r], test_points[1][r]),
                    kind,
                    method,
                )
            values[r] = gap_to_value(gap, kind, higher)
        except UndefinedError:
            continue
    return values


def _resampled(
    amount: Array,
    values: Array,
    sizes: Array,
    weights: Array,
    name: str,
    quality_of: Callable[[Array], Array] | None,
) -> ResampledCurves:
    """Return curves of sum(amount) / sum(sizes) and the size-weighted mean of values."""
    everything = np.full((1, weights.shape[1]), 1 / weights.shape[1])
    both = np.vstack([everything, weights])  # [1 + R, N]
    # A point that one image has no finite value for would exist in some resamples only.
    whole = np.isfinite(amount).all(axis=1) & np.isfinite(values).all(axis=1)  # [P]
    total_size = (both @ sizes)[:, None]
    rate = np.where(whole, both @ np.where(whole[:, None], amount, 0).T / total_size, np.nan)
    weighted = np.where(whole[:, None], values * sizes, 0)
    quality = np.where(whole, both @ weighted.T / total_size, np.nan)
    if quality_of is not None:
        quality = np.asarray(quality_of(quality), dtype=np.float64)
    return ResampledCurves(Curve(rate[0], quality[0], name), rate[1:, whole], quality[1:, whole])


def _per_image(values: ArrayLike, weights: Array, name: str) -> Array:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 2 or numbers.shape[1] != weights.shape[1]:
        raise WorkbenchError(
            f"{name}: per-image values must be [n_points, {weights.shape[1]}], got {numbers.shape}"
        )
    return numbers
