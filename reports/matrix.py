"""BD-rates and BD-qualities of all pairs of a panel, by every method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench import bd
from workbench.bd.curve import oriented
from workbench.bd.delta import gap_to_value
from workbench.bd.fit import Kind, UndefinedError, average_gap
from workbench_reports.compare import Comparison
from workbench_reports.deltas import methods_of

KINDS: tuple[Kind, ...] = ("rate", "quality")


@dataclass
class Pair:
    """One curve against an anchor, by one kind of delta.

    ``values`` is by method; ``low`` and ``high`` belong to the report's method alone.
    ``reason`` says why there is no value, ``interval_reason`` why there is no interval.
    """

    values: dict[str, float | None]
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    interval_reason: str | None = None
    overlap: float | None = None
    n_images: int = 0
    warnings: list[str] = field(default_factory=list)

    def turned(self, kind: Kind) -> Pair:
        """The same pair with anchor and curve exchanged: the gap between them turns its sign."""
        return Pair(
            {method: _turned(value, kind) for method, value in self.values.items()},
            _turned(self.high, kind), _turned(self.low, kind), self.reason, self.interval_reason,
            self.overlap, self.n_images, self.warnings,
        )  # fmt: skip


@dataclass
class Matrix:
    """All pairs of a panel: ``pairs[kind][anchor, curve]``; the diagonal is not in it."""

    labels: list[str]
    method: str
    methods: list[str]
    pairs: dict[Kind, dict[tuple[str, str], Pair]]


def make_matrix(comparison: Comparison, method: str, level: float) -> Matrix:
    """Compare every curve with every other one; with intervals by ``method``."""
    labels = list(comparison.panel.comparable)
    methods = methods_of(comparison.panel.metric, method)
    pairs: dict[Kind, dict[tuple[str, str], Pair]] = {kind: {} for kind in KINDS}
    for i, anchor in enumerate(labels):
        for test in labels[i + 1 :]:
            for kind in KINDS:
                pair = _pair(comparison, anchor, test, kind, methods, level)
                pairs[kind][anchor, test] = pair
                pairs[kind][test, anchor] = pair.turned(kind)
    return Matrix(labels, method, methods, pairs)


def matrix_rows(comparison: Comparison, matrix: Matrix) -> list[dict[str, Any]]:
    """Return plain rows of the matrix by its method, the diagonal with it."""
    panel = comparison.panel
    rows = []
    for anchor in matrix.labels:
        for test in matrix.labels:
            pair = matrix.pairs["rate"].get((anchor, test)) or _same(comparison, test, matrix)
            quality = matrix.pairs["quality"].get((anchor, test)) or pair
            rows.append(
                {
                    "dataset": panel.dataset,
                    "metric": panel.metric.name,
                    "audience": panel.audience,
                    "aggregation": comparison.aggregation,
                    "method": matrix.method,
                    "anchor": anchor,
                    "curve": test,
                    "bd_rate_percent": pair.values[matrix.method],
                    "bd_rate_low_percent": pair.low,
                    "bd_rate_high_percent": pair.high,
                    "bd_quality": quality.values[matrix.method],
                    "reason": pair.reason,
                    "overlap": pair.overlap,
                    "n_images": pair.n_images,
                    "warnings": pair.warnings,
                }
            )
    return rows


def _pair(
    comparison: Comparison, anchor: str, test: str, kind: Kind, methods: list[str], level: float
) -> Pair:
    found = comparison.delta(anchor, test, kind, methods[0], level)
    values = {methods[0]: found["value"]}
    common, _ = comparison.pictures(anchor, test)
    higher = comparison.panel.metric.higher_is_better
    curves = [comparison.cut(label, common).curves.curve for label in (anchor, test)]
    for other in methods[1:]:
        values[other] = _value(curves, kind, other, higher) if common.any() else None
    return Pair(
        values, found["low"], found["high"], found["reason"], found["interval_reason"],
        found["overlap"], found["n_images"], found["warnings"],
    )  # fmt: skip


def _value(curves: list[bd.Curve], kind: Kind, method: str, higher: bool) -> float | None:
    with np.errstate(all="ignore"):  # slopes between almost equal points overflow; it is checked
        try:
            gap, _ = average_gap(*(oriented(c, higher) for c in curves), kind, method)
            return gap_to_value(gap, kind, higher)
        except UndefinedError:
            return None


def _same(comparison: Comparison, label: str, matrix: Matrix) -> Pair:
    """A curve against itself: 0, or the reason why it has no extent."""
    found = comparison.delta(label, label, "rate", matrix.method)
    return Pair(
        {matrix.method: found["value"]}, None, None, found["reason"], found["interval_reason"],
        found["overlap"], found["n_images"], found["warnings"],
    )  # fmt: skip


def _turned(value: float | None, kind: Kind) -> float | None:
    if value is None or kind == "quality":
        return None if value is None else 0.0 - value
    ratio = 1 + value / 100
    return 100 * (1 / ratio - 1) if ratio > 0 else None
