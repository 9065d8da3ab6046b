"""The curves of a panel on any choice of pictures, and the distance of any two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from workbench import bd
from workbench.bd.fit import Kind
from workbench.scoring import resampling_counts
from workbench_reports.aggregate import Aggregation, Array, Mask, Series, Value, qualities, rates
from workbench_reports.panels import Panel


@cache
def _weights(n_images: int, resamples: int) -> Array:
    return bd.resampling_weights(n_images, resamples)


@dataclass(frozen=True)
class _Cut:
    """One curve on some pictures, with what was left out of it."""

    curves: bd.ResampledCurves
    notes: tuple[str, ...]


class Comparison:
    """The curves of one panel on any choice of pictures, and their deltas.

    A pair is compared on the pictures that both curves have at all their points; a point without
    any picture is left out first.
    """

    def __init__(self, panel: Panel, aggregation: Aggregation, resamples: int) -> None:
        self.panel = panel
        self.aggregation: Aggregation = aggregation
        self.resamples = resamples
        self.per_image = all(s.per_image(panel.metric) for s in panel.series.values())
        self.valid = {
            label: s.valid(panel.metric, aggregation) for label, s in panel.series.items()
        }
        self._cuts: dict[tuple[str, bytes], _Cut] = {}

    def pictures(self, anchor: str, test: str) -> tuple[Mask, list[str]]:
        """Return the pictures [N] a pair is compared on, and a warning where some are left out."""
        masks = [self.valid[label] for label in (anchor, test)]
        common: Mask = np.all([m[m.any(axis=1)].all(axis=0) for m in masks], axis=0)
        if not self.per_image or common.all():
            return common, []
        return common, [
            f"partial: compared on {common.sum()} of {common.size} pictures, those that "
            f"{' and '.join(dict.fromkeys([anchor, test]))} have at all points"
        ]

    def cut(self, label: str, common: Mask) -> _Cut:
        """Return a codec's curve on these pictures, made once."""
        key = (label, common.tobytes())
        if key not in self._cuts:
            self._cuts[key] = (
                self._image_cut(label, common) if self.per_image else self._set_cut(label)
            )
        return self._cuts[key]

    def _image_cut(self, label: str, common: Mask) -> _Cut:
        series, metric = self.panel.series[label], self.panel.metric
        valid = self.valid[label]
        notes = [
            f"missing: {label}: point {point}: no picture has a value; left out"
            for point, has in zip(series.points, valid.any(axis=1), strict=True)
            if not has
        ]
        n_images = int(common.sum())
        everything = common[None].astype(float)
        drawn = np.zeros((0, common.size))
        if n_images > 1:
            drawn = np.zeros((self.resamples, common.size))
            drawn[:, common] = _weights(n_images, self.resamples)
        weights = np.vstack([everything, drawn])
        mask = valid & common
        rate = rates(series, "rate_bpp", self.aggregation, mask, weights)
        quality = qualities(series, metric, self.aggregation, mask, weights)
        use = np.isfinite(rate[0]) & (rate[0] > 0) & np.isfinite(quality[0])
        same = np.isinf(series.values[metric.name]) & mask
        for p in np.flatnonzero(~use & mask.any(axis=1)):
            why = (
                f"{same[p].sum()} of {n_images} pictures are without error, "
                f"{metric.label} is infinite"
                if same[p].any()
                else f"its rate is {rate[0, p]:g} bpp"
            )
            notes.append(f"missing: {label}: point {series.points[p]}: {why}; left out")
        curve = bd.Curve(rate[0, use], quality[0, use], label)
        return _Cut(bd.ResampledCurves(curve, rate[1:, use], quality[1:, use]), tuple(notes))

    def _set_cut(self, label: str) -> _Cut:
        series = self.panel.series[label]
        rate = rates(series, "rate_bpp", self.aggregation)[0]
        scores = series.sets[self.panel.metric.name]
        notes, use, quality = [], [], []
        for p, point in enumerate(series.points):
            score = scores.get(point)
            if score is None or score.value is None:
                why = score.reason if score else "not measured"
                notes.append(f"missing: {label}: point {point}: {why}; left out")
                continue
            if score.n_images != len(series.images):
                notes.append(
                    f"partial: {label}: point {point}: {score.n_images} of {len(series.images)} "
                    "pictures"
                )
            if rate[p] > 0:
                use.append(p)
                quality.append(score.value)
        curve = bd.Curve(rate[use], quality, label)
        drawn = self._set_resamples(series, [scores[series.points[p]] for p in use])
        if drawn is None:
            none = np.zeros((0, len(use)))
            return _Cut(bd.ResampledCurves(curve, none, none), tuple(notes))
        counts, resampled = drawn
        resampled_rate = rates(series, "rate_bpp", self.aggregation, None, counts)[:, use]
        return _Cut(bd.ResampledCurves(curve, resampled_rate, resampled), tuple(notes))

    def _set_resamples(self, series: Series, scores: list[Value]) -> tuple[Array, Array] | None:
        """Return how often each picture is in each resample [R, N], and the scores there [R, P]."""
        n_images = len(series.images)
        arrays = [
            score.resamples
            for score in scores
            if score.resamples is not None and score.n_images == n_images
        ]
        if n_images < 2 or not arrays or len(arrays) < len(scores):
            return None
        # What the run resampled the scores by: the rates must be of the same resamples.
        counts = resampling_counts(n_images).astype(float)
        if any(len(array) != len(counts) for array in arrays):
            return None
        return counts, np.stack(arrays, axis=1)

    def delta(
        self, anchor: str, test: str, kind: Kind, method: str, level: float | None = None
    ) -> dict[str, Any]:
        """Return one delta as plain data; with an interval where ``level`` is given."""
        common, warnings = self.pictures(anchor, test)
        row: dict[str, Any] = {"n_images": int(common.sum())}
        if self.per_image and not common.any():
            reason = "no picture has values at all points of both codecs"
            return row | nothing(reason, warnings, len(self.panel.series[test].points))
        cuts = [self.cut(label, common) for label in (anchor, test)]
        a, t = (cut.curves for cut in cuts)
        higher = self.panel.metric.higher_is_better
        low = high = None
        n_resamples = 0
        drawn = len(a.rate) and len(t.rate) and len(a.curve) > 1 and len(t.curve) > 1
        if level is not None and drawn:
            interval = bd.bootstrap(
                a, t, kind=kind, method=method, higher_is_better=higher, level=level
            )
            result, low, high, why = interval.result, interval.low, interval.high, interval.reason
            n_resamples = interval.resamples
        else:
            function = bd.bd_rate if kind == "rate" else bd.bd_quality
            result = function(a.curve, t.curve, method=method, higher_is_better=higher)
            if level is None:
                why = "not drawn for this method"
            elif result.value is None:
                why = result.reason
            elif self.per_image:
                why = "one picture cannot be resampled"
            else:
                why = "these scores have no values on resamples of all pictures"
        notes = dict.fromkeys([*warnings, *cuts[0].notes, *cuts[1].notes, *result.warnings])
        return row | {
            "value": result.value,
            "reason": result.reason,
            "low": low,
            "high": high,
            "interval_reason": why,
            "n_resamples": n_resamples,
            "overlap": result.overlap,
            "n_points": result.n_test,
            "n_points_anchor": result.n_anchor,
            "warnings": list(notes),
        }


def nothing(reason: str, warnings: list[str], n_points: int) -> dict[str, Any]:
    """Return a delta without a value, in the form of :meth:`Comparison.delta`."""
    return {
        "value": None, "reason": reason, "low": None, "high": None, "interval_reason": reason,
        "n_resamples": 0,
        "overlap": None, "n_points": n_points, "n_points_anchor": None, "warnings": warnings,
    }  # fmt: skip
