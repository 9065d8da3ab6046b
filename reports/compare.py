"""BD-rates and BD-qualities of every codec against an anchor, and of all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from workbench import bd
from workbench.api import Metric
from workbench.bd.fit import INTERPOLATING, VCM, Kind
from workbench.errors import WorkbenchError, did_you_mean
from workbench_reports.aggregate import (
    Aggregation,
    Array,
    Mask,
    Measured,
    Series,
    qualities,
    rates,
)

DEFAULT_ANCHOR = "jpeg"


@dataclass(frozen=True)
class Panel:
    """Curves that may be compared: one dataset, one metric, one audience.

    ``series`` is by label: the codec, with its output where the codec has several here.
    """

    dataset: str
    metric: Metric
    audience: str
    series: dict[str, Series]


@dataclass(frozen=True)
class Anchor:
    """The codec that others are compared with; ``output`` is empty where none was named."""

    codec: str
    output: str = ""

    def label(self, panel: Panel) -> str | None:
        """The anchor's curve in a panel; of several outputs the first, if none was named."""
        for label, series in panel.series.items():
            if series.codec == self.codec and self.output in ("", series.output):
                return label
        return None


def find_anchor(measured: Measured, name: str | None) -> tuple[Anchor, str]:
    """Resolve ``CODEC`` or ``CODEC/OUTPUT``, and say how the anchor was chosen.

    Raises:
        WorkbenchError: no such codec or output in the rows.
    """
    outputs: dict[str, list[str]] = {}
    for series in measured.series:
        outputs.setdefault(series.codec, []).append(series.output)
    if name is None:
        codec = DEFAULT_ANCHOR if DEFAULT_ANCHOR in outputs else next(iter(outputs))
        return Anchor(codec), f"anchor: {codec}, by default (--anchor chooses another)"
    if name in outputs:
        return Anchor(name), f"anchor: {name}"
    codec, _, output = name.rpartition("/")
    if codec not in outputs:
        raise WorkbenchError(f"--anchor {name!r}: no such codec here.{did_you_mean(name, outputs)}")
    if output not in outputs[codec]:
        hint = did_you_mean(output, set(outputs[codec]))
        raise WorkbenchError(f"--anchor {name!r}: {codec} has no output {output!r}.{hint}")
    return Anchor(codec, output), f"anchor: {name}"


def make_panels(measured: Measured) -> list[Panel]:
    """Group curves for comparison.

    Outputs for ``any`` audience stand beside those for humans and beside those for machines.
    """
    panels = []
    for dataset in dict.fromkeys(series.dataset for series in measured.series):
        for metric in measured.metrics.values():
            found = [s for s in measured.series if s.dataset == dataset and s.has(metric)]
            audiences = sorted({s.audience for s in found} - {"any"}) or ["any"]
            for audience in audiences:
                here = [s for s in found if s.audience in (audience, "any")]
                if here:
                    panels.append(Panel(dataset, metric, audience, _labelled(here)))
    return panels


def _labelled(series: Sequence[Series]) -> dict[str, Series]:
    codecs = [s.codec for s in series]
    return {
        s.codec if codecs.count(s.codec) == 1 else f"{s.codec} ({s.output})": s for s in series
    }


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
        self.valid = {label: s.valid(panel.metric) for label, s in panel.series.items()}
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
                f"{same[p].sum()} of {n_images} pictures are identical, {metric.label} is infinite"
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
        none = np.zeros((0, len(use)))
        return _Cut(bd.ResampledCurves(curve, none, none), tuple(notes))

    def delta(
        self, anchor: str, test: str, kind: Kind, method: str, level: float | None = None
    ) -> dict[str, Any]:
        """Return one delta as plain data; with an interval where ``level`` is given."""
        common, warnings = self.pictures(anchor, test)
        row: dict[str, Any] = {"n_images": int(common.sum())}
        if self.per_image and not common.any():
            reason = "no picture has values at all points of both codecs"
            return row | _nothing(reason, warnings, len(self.panel.series[test].points))
        cuts = [self.cut(label, common) for label in (anchor, test)]
        a, t = (cut.curves for cut in cuts)
        higher = self.panel.metric.higher_is_better
        low = high = None
        if level is None:
            function = bd.bd_rate if kind == "rate" else bd.bd_quality
            result = function(a.curve, t.curve, method=method, higher_is_better=higher)
            why = "not drawn for this method"
        elif len(a.rate):
            interval = bd.bootstrap(
                a, t, kind=kind, method=method, higher_is_better=higher, level=level
            )
            result, low, high, why = (
                interval.result, interval.low, interval.high, interval.reason,
            )  # fmt: skip
        else:
            function = bd.bd_rate if kind == "rate" else bd.bd_quality
            result = function(a.curve, t.curve, method=method, higher_is_better=higher)
            why = (
                "one picture cannot be resampled"
                if self.per_image
                else "a set has one value: there are no pictures to resample"
            )
        notes = dict.fromkeys([*warnings, *cuts[0].notes, *cuts[1].notes, *result.warnings])
        return row | {
            "value": result.value,
            "reason": result.reason,
            "low": low,
            "high": high,
            "interval_reason": why,
            "overlap": result.overlap,
            "n_points": result.n_test,
            "n_points_anchor": result.n_anchor,
            "warnings": list(notes),
        }


def _nothing(reason: str, warnings: list[str], n_points: int) -> dict[str, Any]:
    return {
        "value": None, "reason": reason, "low": None, "high": None, "interval_reason": reason,
        "overlap": None, "n_points": n_points, "n_points_anchor": None, "warnings": warnings,
    }  # fmt: skip


def methods_of(metric: Metric, method: str) -> list[str]:
    """The methods to report: the chosen one first; MPEG VCM's where values are percents."""
    listed = [method, *INTERPOLATING]
    if metric.limits == (0, 100) and metric.higher_is_better:
        listed.append(VCM)
    return list(dict.fromkeys(listed))


def bd_rows(
    comparison: Comparison, anchor: Anchor, method: str, level: float
) -> list[dict[str, Any]]:
    """Return plain rows of every codec against the anchor: one a method."""
    panel = comparison.panel
    label = anchor.label(panel)
    rows = []
    for test, series in panel.series.items():
        if test == label:
            continue
        for name in methods_of(panel.metric, method):
            found = {
                kind: _nothing(
                    f"the anchor {anchor.codec} has no {panel.metric.label} here", [],
                    len(series.points),
                ) | {"n_images": 0}
                if label is None
                else comparison.delta(
                    label, test, kind, name, level if name == method else None  # type: ignore[arg-type]
                )
                for kind in ("rate", "quality")
            }  # fmt: skip
            rows.append(_bd_row(comparison, label, test, name, found))
    return rows


def _bd_row(
    comparison: Comparison,
    anchor: str | None,
    test: str,
    method: str,
    found: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    panel, series = comparison.panel, comparison.panel.series[test]
    rate, quality = found["rate"], found["quality"]
    both = [w for w in rate["warnings"] if w in quality["warnings"]]
    return {
        "dataset": panel.dataset,
        "metric": panel.metric.name,
        "audience": panel.audience,
        "aggregation": comparison.aggregation,
        "anchor": anchor,
        "curve": test,
        "codec": series.codec,
        "output": series.output,
        "method": method,
        "bd_rate_percent": rate["value"],
        "bd_rate_low_percent": rate["low"],
        "bd_rate_high_percent": rate["high"],
        "bd_rate_reason": rate["reason"],
        "bd_rate_interval_reason": rate["interval_reason"],
        "quality_overlap": rate["overlap"],
        "bd_quality": quality["value"],
        "bd_quality_low": quality["low"],
        "bd_quality_high": quality["high"],
        "bd_quality_unit": panel.metric.unit,
        "bd_quality_reason": quality["reason"],
        "bd_quality_interval_reason": quality["interval_reason"],
        "rate_overlap": quality["overlap"],
        "n_points": rate["n_points"],
        "n_points_anchor": rate["n_points_anchor"],
        "n_images": rate["n_images"],
        "n_dataset": len(series.images),
        "warnings": both
        + [f"BD-rate: {w}" for w in rate["warnings"] if w not in both]
        + [f"BD-quality: {w}" for w in quality["warnings"] if w not in both],
    }


def matrix_rows(comparison: Comparison, method: str) -> list[dict[str, Any]]:
    """Return the BD-rate of every curve of a panel against every other one."""
    panel = comparison.panel
    kept = ("value", "reason", "overlap", "n_images", "warnings")
    return [
        {
            "dataset": panel.dataset,
            "metric": panel.metric.name,
            "audience": panel.audience,
            "aggregation": comparison.aggregation,
            "method": method,
            "anchor": anchor,
            "curve": test,
        }
        | {
            "bd_rate_percent" if name == "value" else name: value
            for name, value in comparison.delta(anchor, test, "rate", method).items()
            if name in kept
        }
        for anchor in panel.series
        for test in panel.series
    ]
