"""Per-image rows as arrays of points × pictures, and the averages taken from them.

Two aggregations, both labelled everywhere:

- ``mean``: the unweighted mean of per-image values, rates in bpp included.
- ``pooled``: total bits / total pixels, and each metric by its ``pool``: PSNR of the
  pixel-weighted mean MSE (``mse``), the unweighted mean (``mean``), or the value of the whole set
  (``set``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.api import Metric
from workbench.errors import WorkbenchError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Aggregation = Literal["mean", "pooled"]
AGGREGATIONS: tuple[Aggregation, ...] = ("mean", "pooled")

PEAK = 255.0


@dataclass(frozen=True)
class Value:
    """An aggregated value; None where ``reason`` says why. ``n_images`` pictures are in it.

    ``resamples`` holds a set's values on resamples of the pictures [R], if its task gave them.
    """

    value: float | None
    reason: str | None
    n_images: int
    resamples: Array | None = None


@dataclass
class Series:
    """One output of one codec on one dataset.

    Attributes:
        points: labels, from low to high rate.  [P]
        images: all pictures of the dataset, measured or not.  [N]
        pixels: pixels of each picture.  [N]
        ok, failed: where there is a decoded picture, and where there is an error.  [P, N]
        columns: rate_bpp, container_rate_bpp, encode_s, decode_s; NaN where not ok.  [P, N]
        values: a metric a name; inf for identical pictures, NaN where there is none.  [P, N]
        sets: values of the whole dataset by metric and point.
        enhancement_of: the output whose layers are a part of this one's, if there is one.
        enhancement_bpp: the rate of the layers this output adds to it.  [P, N]
    """

    dataset: str
    codec: str
    output: str
    audience: str
    needs: tuple[str, ...]
    points: list[str]
    images: list[str]
    pixels: Array
    ok: Mask
    failed: Mask
    columns: dict[str, Array]
    values: dict[str, Array]
    sets: dict[str, dict[str, Value]] = field(default_factory=dict)
    enhancement_of: str | None = None
    enhancement_bpp: Array | None = None

    def has(self, metric: Metric) -> bool:
        """Whether any picture, or any set, has a value of this metric."""
        if self.per_image(metric):
            return bool((~np.isnan(self.values[metric.name])).any())
        return any(v.value is not None for v in self.sets.get(metric.name, {}).values())

    def per_image(self, metric: Metric) -> bool:
        """Whether the metric has values of pictures; else only the whole set has one."""
        return metric.name in self.values

    def only(self, keep: Mask) -> Series:
        """Return the series of some of its points; ``keep`` is a mask of them [P]."""
        kept = [point for point, here in zip(self.points, keep, strict=True) if here]
        return replace(
            self,
            points=kept,
            ok=self.ok[keep],
            failed=self.failed[keep],
            columns={name: values[keep] for name, values in self.columns.items()},
            values={name: values[keep] for name, values in self.values.items()},
            enhancement_bpp=None if self.enhancement_bpp is None else self.enhancement_bpp[keep],
        )

    def boundless(self, metric: Metric) -> Mask:
        """Pictures that are infinite at every point [N], as a grey one's PSNR-YUV is.

        They say nothing of a curve and no mean can have them. One point alone tells no such
        picture from a lossless codec.
        """
        values = self.values[metric.name]
        found: Mask = (np.isinf(values) | ~self.ok).all(axis=0) & self.ok.any(axis=0)
        return found if len(self.points) > 1 else np.zeros_like(found)

    def valid(self, metric: Metric, aggregation: Aggregation) -> Mask:
        """Where a picture counts for this metric [P, N]; sets count every decoded picture."""
        if not self.per_image(metric):
            return self.ok
        found: Mask = self.ok & ~np.isnan(self.values[metric.name])
        if aggregation == "pooled" and metric.pool == "mse":
            return found  # infinite PSNR is an MSE of 0, which pools
        return found & ~self.boundless(metric)


@dataclass
class Measured:
    """What the rows hold, arranged for reports; ``titles`` are short names of datasets."""

    series: list[Series]
    titles: dict[str, str]
    metrics: dict[str, Metric]
    failures: list[dict[str, Any]]
    notes: list[str]


def within(measured: Measured, low: float, high: float) -> Measured:
    """Leave out points whose mean rate is not from ``low`` to ``high`` bpp, and say so.

    Raises:
        WorkbenchError: no rate can lie between, or none does.
    """
    asked = f"--rates {low:g}..{high:g}"
    if not 0 <= low < high:
        raise WorkbenchError(f"{asked}: must be two rates in bpp, the lower one first: 0.1..0.8")
    every = [rates(series, "rate_bpp", "mean")[0] for series in measured.series]
    # A point without a rate failed: it stays, to be told.
    kept = [np.isnan(rate) | ((low <= rate) & (rate <= high)) for rate in every]
    if not any((keep & ~np.isnan(rate)).any() for keep, rate in zip(kept, every, strict=True)):
        there = f"{np.nanmin(np.concatenate(every)):.3g} to {np.nanmax(np.concatenate(every)):.3g}"
        raise WorkbenchError(f"{asked}: no point lies there; rates here are {there} bpp")
    pairs = zip(measured.series, kept, strict=True)
    series = [one.only(keep) for one, keep in pairs if keep.any()]
    n_out = sum(int((~keep).sum()) for keep in kept)
    note = f"only points from {low:g} to {high:g} bpp, mean of the pictures: {n_out} are left out"
    return replace(measured, series=series, notes=[*measured.notes, note])


def weighted_mean(
    values: Array, valid: Mask, sizes: Array | None = None, weights: Array | None = None
) -> Array:
    """Average over pictures, for every resample.

    Args:
        values: [P, N], finite where ``valid``.
        valid: [P, N], the pictures that count.
        sizes: [N], what each picture weighs; all the same by default.
        weights: [R, N], how often each picture is in each resample; once each by default.

    Returns:
        [R, P]; NaN where nothing counts.
    """
    n_images = values.shape[1]
    share = np.ones((1, n_images)) if weights is None else weights
    if sizes is not None:
        share = share * sizes
    total = share @ np.where(valid, values, 0.0).T
    count = share @ valid.T.astype(float)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def rates(
    series: Series,
    column: str,
    aggregation: Aggregation,
    valid: Mask | None = None,
    weights: Array | None = None,
) -> Array:
    """Return a rate in bpp [R, P]: mean of pictures, or total bits over total pixels."""
    values = series.enhancement_bpp if column == "enhancement_bpp" else series.columns[column]
    assert values is not None
    mask = (series.ok if valid is None else valid) & np.isfinite(values)
    return weighted_mean(values, mask, series.pixels if aggregation == "pooled" else None, weights)


def qualities(
    series: Series,
    metric: Metric,
    aggregation: Aggregation,
    valid: Mask,
    weights: Array | None = None,
) -> Array:
    """Return a per-image metric, aggregated [R, P]; inf where identical pictures make it so."""
    values = series.values[metric.name]
    if aggregation == "pooled" and metric.pool == "mse":
        mse = np.where(valid, PEAK**2 * 10 ** (-values / 10), 0.0)  # inf dB is no error
        pooled = weighted_mean(mse, valid, series.pixels, weights)
        with np.errstate(divide="ignore"):
            return 10 * np.log10(PEAK**2 / pooled)
    infinite = np.isinf(values) & valid
    mean = weighted_mean(np.where(infinite, 0.0, values), valid, None, weights)
    mean[:, infinite.any(axis=1)] = np.inf
    return mean


def point_values(series: Series, metric: Metric, aggregation: Aggregation) -> list[Value]:
    """Aggregate a metric at every point, each with the reason where there is no value."""
    if not series.per_image(metric):
        if aggregation == "mean":
            return [Value(None, "only the whole set has a value", 0)] * len(series.points)
        missing = Value(None, "not measured", 0)
        found = series.sets.get(metric.name, {})
        return [found.get(point, missing) for point in series.points]
    valid = series.valid(metric, aggregation)
    identical = (np.isinf(series.values[metric.name]) & valid).sum(axis=1)
    counts = valid.sum(axis=1)
    values = qualities(series, metric, aggregation, valid)[0]
    return [
        _value(float(v), int(n), int(same), metric)
        for v, n, same in zip(values, counts, identical, strict=True)
    ]


def _value(value: float, n_images: int, identical: int, metric: Metric) -> Value:
    if not n_images:
        return Value(None, "no picture has a value", 0)
    if math.isfinite(value):
        return Value(value, None, n_images)
    reason = f"{identical} of {n_images} pictures are without error: {metric.label} is infinite"
    return Value(None, reason, n_images)
