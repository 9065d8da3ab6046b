"""PCHIP gaps of many resamples at once.

The same curve as scipy's PchipInterpolator (F. N. Fritsch and J. Butland, SIAM J. Sci. Stat.
Comput. 5, 1984), which takes one set of abscissae only; a test holds the two together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.bd.curve import Array
from workbench.bd.fit import SAME, TINY, Kind


def pchip_gaps(
    anchor: tuple[Array, Array], test: tuple[Array, Array], kind: Kind
) -> tuple[Array, NDArray[np.bool_]]:
    """Return (gaps, done), both [n_resamples], for R and q of shape [n_resamples, n_points].

    ``done`` is False where a row needs the care of :func:`workbench.bd.fit.average_gap`: ties, no
    overlap, missing values. ``gaps`` means nothing there.
    """
    if min(anchor[0].shape[1], test[0].shape[1]) < 2:  # no curve to integrate
        n_resamples = len(anchor[0])
        return np.full(n_resamples, np.nan), np.zeros(n_resamples, dtype=bool)
    # Rows that divide by 0 or hold NaN are the ones marked as not done.
    with np.errstate(all="ignore"):
        curves = [_sorted(log_rate, quality, kind) for log_rate, quality in (anchor, test)]
        done = np.all([_distinct(x) for x, _ in curves], axis=0)
        low = np.maximum(*(x[:, 0] for x, _ in curves))
        high = np.minimum(*(x[:, -1] for x, _ in curves))
        anchor_area, test_area = (_area(x, y, low, high) for x, y in curves)
        gaps = (test_area - anchor_area) / (high - low)
    return gaps, done & (low < high) & np.isfinite(gaps)


def _sorted(log_rate: Array, quality: Array, kind: Kind) -> tuple[Array, Array]:
    x, y = (quality, log_rate) if kind == "rate" else (log_rate, quality)
    order = np.argsort(x, axis=1)
    return np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)


def _distinct(x: Array) -> NDArray[np.bool_]:
    apart = SAME * np.ptp(x, axis=1)[:, None] + TINY
    distinct: NDArray[np.bool_] = (np.diff(x, axis=1) > apart).all(axis=1)
    return distinct


def _area(x: Array, y: Array, low: Array, high: Array) -> Array:
    """Integrate the PCHIP curve of each row from low to high; all but x, y [R, P] are [R]."""
    h, slope = np.diff(x, axis=1), _slopes(x, y)
    # Area of one Hermite segment: h (y0 + y1) / 2 + h^2 (d0 - d1) / 12.
    pieces = h * (y[:, :-1] + y[:, 1:]) / 2 + h**2 * (slope[:, :-1] - slope[:, 1:]) / 12
    before = np.concatenate([np.zeros((len(x), 1)), np.cumsum(pieces, axis=1)], axis=1)
    rows = np.arange(len(x))

    def antiderivative(at: Array) -> Array:
        i = np.clip((x <= at[:, None]).sum(axis=1) - 1, 0, x.shape[1] - 2)
        width, s = h[rows, i], (at - x[rows, i]) / h[rows, i]
        y0, y1 = y[rows, i], y[rows, i + 1]
        d0, d1 = width * slope[rows, i], width * slope[rows, i + 1]
        quadratic, cubic = -3 * y0 + 3 * y1 - 2 * d0 - d1, 2 * y0 - 2 * y1 + d0 + d1
        inside = s * (y0 + s * (d0 / 2 + s * (quadratic / 3 + s * cubic / 4)))
        area: Array = before[rows, i] + width * inside
        return area

    return antiderivative(high) - antiderivative(low)


def _slopes(x: Array, y: Array) -> Array:
    """Return dy/dx at every point [R, P]: weighted harmonic means, 0 at a turning point."""
    h = np.diff(x, axis=1)
    delta = np.diff(y, axis=1) / h
    if x.shape[1] == 2:
        return np.repeat(delta, 2, axis=1)
    left, right = delta[:, :-1], delta[:, 1:]
    w_left, w_right = 2 * h[:, 1:] + h[:, :-1], h[:, 1:] + 2 * h[:, :-1]
    inner = np.where(left * right > 0, (w_left + w_right) / (w_left / left + w_right / right), 0.0)
    first = _end_slope(h[:, 0], h[:, 1], delta[:, 0], delta[:, 1])
    last = _end_slope(h[:, -1], h[:, -2], delta[:, -1], delta[:, -2])
    return np.concatenate([first[:, None], inner, last[:, None]], axis=1)


def _end_slope(h0: Array, h1: Array, delta0: Array, delta1: Array) -> Array:
    """Three-point end slope, held to the sign of the end segment and to three times its slope."""
    slope = ((2 * h0 + h1) * delta0 - h0 * delta1) / (h0 + h1)
    slope = np.where(np.sign(slope) != np.sign(delta0), 0.0, slope)
    steep = (np.sign(delta0) != np.sign(delta1)) & (np.abs(slope) > 3 * np.abs(delta0))
    return np.where(steep, 3 * delta0, slope)
