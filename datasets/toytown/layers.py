"""Patches on which objects are put together, and the canvas that they are pasted on."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from workbench_datasets.toytown.classes import VOID
from workbench_datasets.toytown.draws import Array
from workbench_datasets.toytown.raster import (
    HEIGHT,
    SMALLEST_PX,
    WIDTH,
    XS,
    YS,
    Colour,
    Point,
    area_of,
    clip,
    planes,
    polygon_coverage,
    scaled,
)


class Layer:
    """A patch of the canvas on which one object is put together: colour, and alpha [h, w]."""

    def __init__(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        self.x0, self.y0 = max(int(x0) - 1, 0), max(int(y0) - 1, 0)
        self.x1, self.y1 = min(int(x1) + 2, WIDTH), min(int(y1) + 2, HEIGHT)
        self.empty = self.x1 <= self.x0 or self.y1 <= self.y0
        shape = (max(self.y1 - self.y0, 0), max(self.x1 - self.x0, 0))
        self.rgb = np.empty((3, *shape), np.float32)
        self.rgb[:] = planes(fill)
        self.alpha = np.zeros(shape, np.float32)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice] | None:
        """Rows and columns of the canvas that the box shares with the patch."""
        left, top = max(int(x0) - 1, self.x0), max(int(y0) - 1, self.y0)
        right, bottom = min(int(x1) + 2, self.x1), min(int(y1) + 2, self.y1)
        if right <= left or bottom <= top:
            return None
        return slice(top, bottom), slice(left, right)

    def put(self, rows: slice, columns: slice, cover: Array, colour: Array, solid: bool) -> None:
        """Lays `colour` (broadcast to [3, h, w]) over the patch; `solid` parts add to alpha."""
        r = slice(rows.start - self.y0, rows.stop - self.y0)
        c = slice(columns.start - self.x0, columns.stop - self.x0)
        target = self.rgb[:, r, c]
        step = colour - target
        step *= cover
        target += step
        if solid:
            alpha = self.alpha[r, c]
            alpha += (1.0 - alpha) * cover

    def polygon(
        self,
        points: Sequence[Point],
        colour: Colour,
        *,
        bottom: Colour | None = None,
        opacity: float = 1.0,
        solid: bool = True,
    ) -> None:
        """A convex polygon, shaded from `colour` at its top to `bottom` when that is given."""
        if -SMALLEST_PX < area_of(points) < SMALLEST_PX:
            return
        px, py = [p[0] for p in points], [p[1] for p in points]
        box = self.box(min(px), min(py), max(px), max(py))
        if box is None:
            return
        rows, columns = box
        cover = polygon_coverage(points, XS[columns], YS[rows])
        if cover is None:
            return
        if opacity != 1.0:
            cover *= np.float32(opacity)
        paint = planes(colour)
        if bottom is not None:
            span = max(max(py) - min(py), 1e-3)
            t = clip((YS[rows] - min(py)) * (1.0 / span), 0.0, 1.0)
            paint = paint + (planes(bottom) - paint) * t
        self.put(rows, columns, cover, paint, solid)

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        *,
        opacity: float = 1.0,
        solid: bool = True,
    ) -> None:
        """A filled ellipse, a little darker towards its rim."""
        box = self.box(x - rx, y - ry, x + rx, y + ry)
        if box is None or rx < 0.05 or ry < 0.05:
            return
        rows, columns = box
        dx, dy = (XS[columns] - x) / rx, (YS[rows] - y) / ry
        radius = np.sqrt(dx * dx + dy * dy)
        small = min(rx, ry)
        cover = clip((1.0 - radius) * small + 0.5, 0.0, min(1.0, 2 * small) * opacity)
        self.put(rows, columns, cover, planes(colour) * (1.1 - 0.25 * radius), solid)

    def ring(self, x: float, y: float, radius: float, half: float, colour: Colour) -> None:
        """A circle drawn with a stroke of half width `half`."""
        reach = radius + half
        box = self.box(x - reach, y - reach, x + reach, y + reach)
        if box is None:
            return
        rows, columns = box
        dx, dy = XS[columns] - x, YS[rows] - y
        away = np.abs(np.sqrt(dx * dx + dy * dy) - radius)
        cover = clip(half + 0.5 - away, 0.0, min(1.0, 2 * half))
        self.put(rows, columns, cover, planes(colour), True)

    def discs(
        self, middle: Point, across: Point, up: Point, rings: Sequence[tuple[float, Colour]]
    ) -> None:
        """Concentric discs in perspective, largest first, as (radius, colour).

        `across` and `up` are where the unit circle's ends fall, so that radius 1 reaches both.
        """
        ax, ay = across[0] - middle[0], across[1] - middle[1]
        bx, by = up[0] - middle[0], up[1] - middle[1]
        area = ax * by - ay * bx
        largest = rings[0][0] if rings else 0.0
        wide, tall = (abs(ax) + abs(bx)) * largest, (abs(ay) + abs(by)) * largest
        box = self.box(middle[0] - wide, middle[1] - tall, middle[0] + wide, middle[1] + tall)
        if box is None or -0.3 < area < 0.3:
            return
        rows, columns = box
        dx, dy = XS[columns] - middle[0], YS[rows] - middle[1]
        p = dx * (by / area) - dy * (bx / area)
        q = dy * (ax / area) - dx * (ay / area)
        radius = np.sqrt(p * p + q * q)
        small = min(sqrt(ax * ax + ay * ay), sqrt(bx * bx + by * by))
        for reach, colour in rings:
            cover = clip((reach - radius) * small + 0.5, 0.0, min(1.0, 2 * small))
            self.put(rows, columns, cover, planes(colour), True)

    def limb(
        self, a: Point, b: Point, ra: float, rb: float, colour: Colour, *, light: float = 0.0
    ) -> None:
        """A rounded, tapered stroke from `a` to `b`; `light` (-1..1) is the side that is lit."""
        r = max(ra, rb)
        box = self.box(min(a[0], b[0]) - r, min(a[1], b[1]) - r, max(a[0], b[0]) + r,
                       max(a[1], b[1]) + r)  # fmt: skip
        if box is None:
            return
        rows, columns = box
        px, py = XS[columns] - a[0], YS[rows] - a[1]
        vx, vy = b[0] - a[0], b[1] - a[1]
        t = clip((px * vx + py * vy) * (1.0 / max(vx * vx + vy * vy, 1e-6)), 0.0, 1.0)
        dx, dy = px - t * vx, py - t * vy
        reach = ra + (rb - ra) * t
        away = np.sqrt(dx * dx + dy * dy)
        cover = clip(reach - away + 0.5, 0.0, min(1.0, 2 * r))
        side = clip(dx / reach, -1.0, 1.0)
        shade = 1.05 - 0.3 * side * side + (0.35 * light) * side
        self.put(rows, columns, cover, planes(colour) * shade, True)


class Canvas:
    """The picture in linear light with its label maps: rgb [3, H, W], semantic, instances."""

    def __init__(self) -> None:
        self.rgb = np.zeros((3, HEIGHT, WIDTH), np.float32)
        self.semantic = np.full((HEIGHT, WIDTH), VOID, np.uint8)
        self.instances = np.zeros((HEIGHT, WIDTH), np.uint16)

    def paste(self, layer: Layer, haze: Colour, share: float, label: int, number: int = 0) -> int:
        """Lays an object over the picture, faded by `share` (0..1) into the haze, and labels it.

        Returns the number of pixels that it was given.
        """
        if layer.empty:
            return 0
        rows, columns = slice(layer.y0, layer.y1), slice(layer.x0, layer.x1)
        rgb = layer.rgb
        if share > 0.0:
            rgb *= 1.0 - share
            rgb += planes(scaled(haze, share))
        target = self.rgb[:, rows, columns]
        rgb -= target
        rgb *= layer.alpha
        target += rgb
        mask = layer.alpha >= 0.5
        np.copyto(self.semantic[rows, columns], label, where=mask)
        np.copyto(self.instances[rows, columns], number, where=mask)
        return int(mask.sum())
