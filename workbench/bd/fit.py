"""Curves through rate-distortion points, integrated in closed form.

With R = log10(rate) and q the quality, the average horizontal distance of two curves is

    gap = 1 / (q1 - q0) * integral q0..q1 of (R_test(q) - R_anchor(q)) dq

over the qualities [q0, q1] both curves reach, and BD-rate = 100 * (10 ** gap - 1) percent.
BD-quality is the vertical counterpart: the mean of q_test(R) - q_anchor(R) over common rates.

- ``cubic``: one third-order polynomial (least squares beyond four points, lower order below).
  G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001.
- ``pchip``: monotone piecewise cubic Hermite, as in the JCT-VC common test conditions spreadsheet
  (JCTVC-L1100).
- ``akima``: Akima's piecewise cubic. C. Herglotz et al., "Beyond Bjontegaard: Limits of Video
  Compression Performance Comparisons", ICIP 2022, arXiv 2202.12565.
- ``vcm-monotone-cubic``: least-squares cubic q(R), slope >= 0, curvature <= 0, values in 0..100.
  H. Wang et al., "Improvements of the BD-Rate Metrics Using Monotonic Curve-Fitting Methods",
  PCS 2024, doi 10.1109/PCS60826.2024.10566370 (MPEG m63692). MPEG's scripts can confine the fit to
  curves that are not monotone, and read it at the measured rates only; here it replaces every
  curve, and is itself integrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial import Polynomial
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator
from scipy.optimize import brentq, nnls

from workbench.bd.curve import LARGEST, Array
from workbench.errors import WorkbenchError, did_you_mean

Kind = Literal["rate", "quality"]

VCM = "vcm-monotone-cubic"
INTERPOLATING = ("cubic", "pchip", "akima")
METHODS = (*INTERPOLATING, VCM)

VCM_MAX = 100.0
"""MPEG VCM states accuracies in percent."""

SAME = 1e-9
"""Points nearer than this share of their range are one: slopes between them are rounding noise."""

TINY = 1 / LARGEST
"""And so are points nearer than this, whatever their range: slopes between them overflow."""


class UndefinedError(Exception):
    """There is no average distance between these curves; the message says why."""


@dataclass(frozen=True)
class Span:
    """One curve as a function on [low, high], known by its antiderivative."""

    low: float
    high: float
    antiderivative: Callable[[float], float]


def check_method(method: str) -> None:
    """Raise WorkbenchError unless ``method`` is one of METHODS."""
    if method not in METHODS:
        raise WorkbenchError(f"unknown BD method {method!r}.{did_you_mean(method, METHODS)}")


def average_gap(
    anchor: tuple[Array, Array], test: tuple[Array, Array], kind: Kind, method: str
) -> tuple[float, float]:
    """Return the mean of test minus anchor where both curves exist, and the share of overlap.

    Args:
        anchor, test: (R, q), each [n] and finite, in any order; larger q is better.
        kind: "rate" for the mean of R over q (log10 units), "quality" for the mean of q over R.
        method: one of METHODS.

    Returns:
        gap, overlap: overlap is the common range as a share of the range the two cover together.

    Raises:
        UndefinedError: too few distinct points, no overlap, or a fit that runs away.
    """
    # Overflow shows in the result, which is checked below.
    with np.errstate(all="ignore"):
        spans = [_span(log_rate, quality, kind, method) for log_rate, quality in (anchor, test)]
        low, high = max(s.low for s in spans), min(s.high for s in spans)
        if not low < high:
            axis = "qualities" if kind == "rate" else "log10 rates"
            ranges = " and ".join(f"{s.low:.6g}..{s.high:.6g}" for s in spans)
            raise UndefinedError(f"no overlap: the {axis} are {ranges}")
        areas = [s.antiderivative(high) - s.antiderivative(low) for s in spans]
        gap = (areas[1] - areas[0]) / (high - low)
    if not np.isfinite(gap):
        raise UndefinedError(f"the {method} curve through these points is not finite")
    whole = max(s.high for s in spans) - min(s.low for s in spans)
    return float(gap), (high - low) / whole


def distinct(log_rate: Array, quality: Array, kind: Kind) -> tuple[Array, Array]:
    """Return (x, y) with x ascending and distinct; of tied points the best one stays.

    For BD-rate x is the quality and the cheapest rate stays; for BD-quality x is R and the best
    quality stays: what a user of the codec would choose.
    """
    if kind == "rate":
        x, y = quality, log_rate
        order = np.lexsort((y, x))
    else:
        x, y = log_rate, quality
        order = np.lexsort((-y, x))
    x, y = x[order], y[order]
    keep = np.ones(x.size, dtype=bool)
    keep[1:] = np.diff(x) > SAME * np.ptp(x) + TINY
    return x[keep], y[keep]


def _span(log_rate: Array, quality: Array, kind: Kind, method: str) -> Span:
    if log_rate.size < 2:
        raise UndefinedError("a curve needs two points at least")
    if method == VCM:
        return _monotone_cubic(log_rate, quality, kind)
    x, y = distinct(log_rate, quality, kind)
    if x.size < 2:
        axis = "quality" if kind == "rate" else "rate"
        raise UndefinedError(f"all points of a curve have the same {axis}")
    if method == "cubic":
        # polyfit on the raw axis is what the published tools do; full=True reports the rank
        # where it would otherwise warn.
        coefficients, _, rank, _, _ = np.polyfit(x, y, min(3, x.size - 1), full=True)
        if rank < coefficients.size:
            raise UndefinedError("the points are too close together for a cubic fit")
        primitive = np.polyint(coefficients)
        return Span(x[0], x[-1], lambda at: float(np.polyval(primitive, at)))
    # Akima's slopes need three points; two make a straight line, as PCHIP's do.
    interpolator = Akima1DInterpolator if method == "akima" and x.size > 2 else PchipInterpolator
    return Span(x[0], x[-1], interpolator(x, y).antiderivative())


def _monotone_cubic(log_rate: Array, quality: Array, kind: Kind) -> Span:
    if quality.min() < 0 or quality.max() > VCM_MAX:
        raise UndefinedError(
            f"{VCM} is for accuracies in 0..{VCM_MAX:g} where higher is better, got "
            f"{quality.min():g}..{quality.max():g}"
        )
    first, last = float(log_rate.min()), float(log_rate.max())
    if not first < last:
        raise UndefinedError("all points of a curve have the same rate")
    curve = fit_monotone_cubic((log_rate - first) / (last - first), quality)
    width = last - first
    primitive: Polynomial = curve.integ()  # type: ignore[no-untyped-call]  # of numpy 1
    if kind == "quality":
        return Span(first, last, lambda at: width * float(primitive((at - first) / width)))
    low, high = float(curve(0.0)), float(curve(1.0))
    if high - low <= SAME * VCM_MAX:
        raise UndefinedError("the monotone fit of a curve is flat: every rate has one quality")

    def inverse_area(at: float) -> float:
        # Area under the inverse function, by parts: integral of t dq = t*q - integral of q dt.
        t = 0.0 if at <= low else 1.0 if at >= high else brentq(lambda s: curve(s) - at, 0.0, 1.0)
        return first * at + width * float(t * at - primitive(t))

    return Span(low, high, inverse_area)


def fit_monotone_cubic(t: Array, quality: Array) -> Polynomial:
    """Fit q(t), t in 0..1, in least squares: q' >= 0, q'' <= 0 and 0 <= q <= VCM_MAX on 0..1.

    q'' is linear, so it need only hold at both ends; then q' is smallest and q largest at t = 1.
    With c = q(0), s = q'(1), u = -q''(0) / 6, v = -q''(1) / 3, all >= 0,

        q(t) = c + s*t + u*(1 - (1-t)^3) + v*(3t - t^3)/2,   q(1) = c + s + u + v <= VCM_MAX,

    which is non-negative least squares under one bound on the sum.
    """
    basis = [
        Polynomial([1.0]),
        Polynomial([0.0, 1.0]),
        Polynomial([0.0, 3.0, -3.0, 1.0]),
        Polynomial([0.0, 1.5, 0.0, -0.5]),
    ]
    design = np.stack([b(t) for b in basis], axis=1)  # [n, 4]
    weights, _ = nnls(design, quality)
    if weights.sum() > VCM_MAX:
        # The problem is convex, so the sum is VCM_MAX: w = VCM_MAX * p with sum(p) = 1 leaves the
        # residual M p. Minimising |M w|^2 + (sum(w) - 1)^2 over w >= 0 finds p up to its length.
        residual = VCM_MAX * design - quality[:, None]
        scale = np.linalg.norm(residual) or 1.0
        system = np.vstack([residual / scale, np.ones(4)])
        direction, _ = nnls(system, np.append(np.zeros(t.size), 1.0))
        weights = VCM_MAX * direction / direction.sum()
    curve = Polynomial([0.0])
    for weight, b in zip(weights, basis, strict=True):
        curve = curve + weight * b
    return curve
