"""BD-rate and BD-quality with the warnings that belong to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from workbench.bd.curve import Curve, oriented, shape_warnings
from workbench.bd.fit import INTERPOLATING, Kind, UndefinedError, average_gap, check_method

MIN_OVERLAP = 0.75
"""Below this share of common range the number speaks for a part of the curves only."""

RATE_TOLERANCE_PERCENT = 1.0
RATE_TOLERANCE_SHARE = 0.1
"""BD-rates of different methods agree within 1 percentage point or 10 % of the value."""

QUALITY_TOLERANCE_SHARE = 0.01
"""BD-qualities of different methods agree within 1 % of the range of the qualities."""

MAX_EXPONENT = 300.0
"""10 ** 300 is near the largest float64; a gap beyond it is a fit that ran away."""


@dataclass(frozen=True)
class BDResult:
    """One Bjontegaard delta of a test curve against an anchor.

    Attributes:
        kind: "rate" or "quality".
        method: one of METHODS.
        value: percent of rate (negative: the test needs less), or test minus anchor in the unit
            of the quality; None where ``reason`` says why.
        reason: why there is no value; None where there is one.
        warnings: each "code: text"; codes are missing, few-points, tie, dip, falling,
            saturation, overlap, methods.
        overlap: common range of the qualities (kind "rate") or of log10 rate (kind "quality") as
            a share of the range that both curves cover together, 0..1.
        n_anchor, n_test: usable points of each curve.
    """

    kind: Kind
    method: str
    value: float | None
    reason: str | None
    warnings: tuple[str, ...]
    overlap: float
    n_anchor: int
    n_test: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: no NaN, no infinity."""
        return asdict(self) | {"warnings": list(self.warnings)}


def bd_rate(
    anchor: Curve, test: Curve, *, method: str = "pchip", higher_is_better: bool = True
) -> BDResult:
    """Return the average rate difference at equal quality, in percent.

    Raises:
        WorkbenchError: unknown method.
    """
    return delta(anchor, test, "rate", method, higher_is_better)


def bd_quality(
    anchor: Curve, test: Curve, *, method: str = "pchip", higher_is_better: bool = True
) -> BDResult:
    """Return the average quality difference at equal rate: BD-PSNR, BD-mAP, BD-LPIPS.

    The sign is the metric's own: a negative BD-LPIPS is an improvement.

    Raises:
        WorkbenchError: unknown method.
    """
    return delta(anchor, test, "quality", method, higher_is_better)


def bd_matrix(
    curves: Mapping[str, Curve],
    *,
    kind: Kind = "rate",
    method: str = "pchip",
    higher_is_better: bool = True,
) -> dict[tuple[str, str], BDResult]:
    """Return the delta of every ordered pair: ``matrix[anchor, test]``.

    The diagonal compares a curve with itself and is 0 (or None where the curve has no extent).
    """
    return {
        (a, t): delta(curves[a], curves[t], kind, method, higher_is_better)
        for a, t in product(curves, repeat=2)
    }


@np.errstate(all="ignore")  # slopes between almost equal points overflow; the value is checked
def delta(anchor: Curve, test: Curve, kind: Kind, method: str, higher_is_better: bool) -> BDResult:
    """Compute one delta of either kind; see :func:`bd_rate` and :func:`bd_quality`."""
    check_method(method)
    warnings = shape_warnings(anchor, higher_is_better)
    if test is not anchor:
        warnings += shape_warnings(test, higher_is_better)
    value, overlap, reason = _value(anchor, test, kind, method, higher_is_better)
    if value is not None:
        if overlap < MIN_OVERLAP:
            axis = "quality" if kind == "rate" else "log10 rate"
            warnings.append(
                f"overlap: the curves share {100 * overlap:.1f} % of their {axis} range, "
                f"less than {100 * MIN_OVERLAP:.0f} %"
            )
        warnings += _disagreement(anchor, test, kind, method, higher_is_better, value)
    return BDResult(kind, method, value, reason, tuple(warnings), overlap, len(anchor), len(test))


def gap_to_value(gap: float, kind: Kind, higher_is_better: bool) -> float:
    """Turn a gap into percent of rate, or into the sign of the metric.

    Raises:
        UndefinedError: the rate ratio is beyond any number.
    """
    if kind == "quality":
        return gap if higher_is_better else 0.0 - gap  # not -0.0
    if gap > MAX_EXPONENT:
        raise UndefinedError(f"the fitted curves are 10^{gap:.0f} apart in rate")
    return 100.0 * (math.pow(10.0, gap) - 1.0)


def _value(
    anchor: Curve, test: Curve, kind: Kind, method: str, higher_is_better: bool
) -> tuple[float | None, float, str | None]:
    """Return value, overlap, reason."""
    overlap = 0.0
    try:
        gap, overlap = average_gap(
            oriented(anchor, higher_is_better), oriented(test, higher_is_better), kind, method
        )
        return gap_to_value(gap, kind, higher_is_better), overlap, None
    except UndefinedError as error:
        return None, overlap, str(error)


def _disagreement(
    anchor: Curve, test: Curve, kind: Kind, method: str, higher_is_better: bool, value: float
) -> list[str]:
    """Warn where the methods that run through the measured points say something else."""
    values = {method: value} | {
        other: _value(anchor, test, kind, other, higher_is_better)[0]
        for other in INTERPOLATING
        if other != method
    }
    if kind == "rate":
        limit = max(RATE_TOLERANCE_PERCENT, RATE_TOLERANCE_SHARE * abs(value))
    else:
        limit = QUALITY_TOLERANCE_SHARE * float(np.ptp(np.append(anchor.quality, test.quality)))
    known = [v for v in values.values() if v is not None]
    if len(known) == len(values) and max(known) - min(known) <= limit:
        return []
    listed = ", ".join(
        f"{name} {'none' if v is None else format(v, '.6g')}" for name, v in values.items()
    )
    unit = " percentage points" if kind == "rate" else ""
    return [f"methods: they differ by more than {limit:.3g}{unit}: {listed}"]
