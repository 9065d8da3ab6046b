"""Rows of BD-rates and BD-qualities: every codec against the anchor."""

from __future__ import annotations

from typing import Any

from workbench.api import Metric
from workbench.bd.fit import INTERPOLATING, VCM
from workbench_reports.compare import Comparison, nothing
from workbench_reports.panels import Anchor


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
    for test, series in panel.comparable.items():
        if test == label:
            continue
        for name in methods_of(panel.metric, method):
            found = {
                kind: nothing(
                    f"the anchor {anchor.codec} has no curve of {panel.metric.label} here", [],
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
        "n_resamples": rate["n_resamples"],
        "n_images": rate["n_images"],
        "n_dataset": len(series.images),
        "warnings": both
        + [f"BD-rate: {w}" for w in rate["warnings"] if w not in both]
        + [f"BD-quality: {w}" for w in quality["warnings"] if w not in both],
    }
