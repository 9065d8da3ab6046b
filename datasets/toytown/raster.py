"""Colours, pixel grids and the coverage of polygons.

Colours are linear light, planar float32 [3, H, W]; x runs right and y down, and pixel (i, j) has
its centre at (i + 0.5, j + 0.5). Coverage is analytic, so nothing is supersampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from workbench_datasets.toytown.draws import Array

WIDTH, HEIGHT = 512, 320
SMALLEST_PX = 0.4
"""Polygons below this area are left out: they would hardly change a pixel."""
FEW_PIXELS = 1500
"""Up to this size a polygon costs less with all its edges in one array."""
XS = np.arange(WIDTH, dtype=np.float32) + np.float32(0.5)
YS = (np.arange(HEIGHT, dtype=np.float32) + np.float32(0.5))[:, None]

Colour = tuple[float, float, float]
Point = tuple[float, float]


def srgb(red: int, green: int, blue: int) -> Colour:
    """Linear light of an 8-bit colour; display gamma is taken as 2, whose inverse is exact."""
    return (red / 255) * (red / 255), (green / 255) * (green / 255), (blue / 255) * (blue / 255)


def scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def times(colour: Colour, other: Colour) -> Colour:
    return colour[0] * other[0], colour[1] * other[1], colour[2] * other[2]


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with `share` (0..1) of `other`."""
    keep = 1.0 - share
    return (
        colour[0] * keep + other[0] * share,
        colour[1] * keep + other[1] * share,
        colour[2] * keep + other[2] * share,
    )


def planes(colour: Colour) -> Array:
    """A colour as float32 [3, 1, 1]."""
    return np.array(colour, np.float32)[:, None, None]


def clip(values: Array, low: float, high: float) -> Array:
    """`np.clip` for the many small arrays here, at a third of its overhead."""
    values = np.maximum(values, low)
    return np.minimum(values, high, out=values)


def area_of(points: Sequence[Point]) -> float:
    """Signed area of a polygon in pixels, positive when it runs clockwise on the screen."""
    total = 0.0
    xa, ya = points[-1]
    for xb, yb in points:
        total += xa * yb - xb * ya
        xa, ya = xb, yb
    return 0.5 * total


def polygon_coverage(points: Sequence[Point], x: Array, y: Array) -> Array | None:
    """Share of each pixel inside a convex polygon, float32 [h, w]; None when it has no area.

    Each edge takes away the part of the pixel that lies beyond it, which is right for edges and
    for slivers thinner than a pixel.
    """
    area = area_of(points)
    if -1e-3 < area < 1e-3:
        return None
    sign = 1.0 if area > 0 else -1.0
    lines: list[tuple[float, float, float]] = []
    xa, ya = points[-1]
    for xb, yb in points:
        dx, dy = xb - xa, yb - ya
        # The square root is the one function of `math` that IEEE 754 rounds exactly.
        length = sqrt(dx * dx + dy * dy)
        if length > 1e-4:
            nx, ny = sign * dy / length, -sign * dx / length
            lines.append((nx, ny, 0.5 - xa * nx - ya * ny))
        xa, ya = xb, yb
    if not lines:
        return None
    inside: Array
    if x.shape[0] * y.shape[0] <= FEW_PIXELS:
        # All edges at once: what small polygons cost is the number of calls.
        nx_, ny_, offset_ = np.array(lines, np.float32).T[:, :, None, None]
        beyond = x * nx_ + (y * ny_ + offset_)  # [edges, h, w]
        np.maximum(beyond, 0.0, out=beyond)
        np.minimum(beyond, 1.0, out=beyond)
        inside = 1.0 - beyond[0]
        for one in beyond[1:]:
            inside -= one
    else:
        inside = np.ones((y.shape[0], x.shape[0]), np.float32)
        for nx, ny, offset in lines:
            # Upright and level edges, the most frequent ones, need one row or column only.
            if ny == 0.0:
                beyond = x * nx + offset
            elif nx == 0.0:
                beyond = y * ny + offset
            else:
                beyond = x * nx + (y * ny + offset)
            np.maximum(beyond, 0.0, out=beyond)
            np.minimum(beyond, 1.0, out=beyond)
            inside -= beyond
    return np.maximum(inside, 0.0, out=inside)
