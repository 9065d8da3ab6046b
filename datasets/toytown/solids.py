"""Placing things in the street: a local frame of metres, its faces on the picture, its shadow."""

from __future__ import annotations

from collections.abc import Sequence

from workbench_datasets.toytown.draws import Array
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import (
    XS,
    Colour,
    Point,
    mixed,
    polygon_coverage,
    scaled,
    times,
)
from workbench_datasets.toytown.street import Ground
from workbench_datasets.toytown.view import Light, View

Solid = tuple[float, float, float]
NEAREST_M = 1.2


def hull(points: Sequence[Point]) -> list[Point]:
    """Convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    chains: list[list[Point]] = []
    for run in (ordered, ordered[::-1]):
        chain: list[Point] = []
        for p in run:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2], chain[-1]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0.0:
                    break
                chain.pop()
            chain.append(p)
        chains.append(chain[:-1])
    return chains[0] + chains[1]


class Frame:
    """A thing at (x, z): l forwards, y up, w to its right, all in metres.

    `heading` is tan(angle / 2) from straight ahead; None turns the thing towards the camera.
    """

    def __init__(self, view: View, light: Light, item: Item, lit: float) -> None:
        self.view, self.light, self.lit = view, light, lit
        self.x, self.z = item.x, item.z
        if item.heading is None:
            self.hx, self.hz = 0.0, -1.0
        else:
            t = item.heading
            self.hx, self.hz = 2 * t / (1 + t * t), (1 - t * t) / (1 + t * t)
        self.scale = view.focal / item.z

    def world(self, point: Solid) -> Solid:
        length, y, w = point
        return self.x + length * self.hx + w * self.hz, y, self.z + length * self.hz - w * self.hx

    def project(self, point: Solid) -> Point:
        x, y, z = self.world(point)
        return self.view.point(x, y, max(z, NEAREST_M))

    def seen(self, normal: Solid, point: Solid) -> bool:
        """Whether the camera sees a face through `point` with outward `normal` (l, y, w)."""
        nl, ny, nw = normal
        x, y, z = self.world(point)
        nx, nz = nl * self.hx + nw * self.hz, nl * self.hz - nw * self.hx
        return nx * x + ny * (y - self.view.height_m) + nz * z < 0.0

    def power(self, normal: Solid) -> Colour:
        nl, ny, nw = normal
        return self.light.on(nl * self.hx + nw * self.hz, ny, nl * self.hz - nw * self.hx, self.lit)

    def paint(self, colour: Colour, normal: Solid, gloss: float = 0.0) -> Colour:
        """Colour of a face in this light; `gloss` adds that share of the sky it mirrors."""
        lit = times(colour, self.power(normal))
        sky = mixed(self.light.horizon, self.light.zenith, 0.5 + 0.5 * normal[1])
        return mixed(lit, sky, gloss)

    def face(
        self,
        layer: Layer,
        corners: Sequence[Solid],
        normal: Solid,
        colour: Colour,
        *,
        gloss: float = 0.0,
        fade: float = 1.0,
    ) -> bool:
        """Draws a flat face if it is seen; its bottom is `fade` times as bright as its top."""
        if not self.seen(normal, corners[0]):
            return False
        paint = self.paint(colour, normal, gloss)
        points = [self.project(corner) for corner in corners]
        layer.polygon(points, paint, bottom=None if fade == 1.0 else scaled(paint, fade))
        return True

    def layer(self, corners: Sequence[Solid], fill: Colour, margin: float = 1.0) -> Layer:
        """A patch that holds all the corners."""
        points = [self.project(corner) for corner in corners]
        return Layer(
            min(p[0] for p in points) - margin,
            min(p[1] for p in points) - margin,
            max(p[0] for p in points) + margin,
            max(p[1] for p in points) + margin,
            fill,
        )


def box_corners(length: float, width: float, low: float, high: float) -> list[Solid]:
    return [
        (a * length / 2, y, b * width / 2) for a in (-1.0, 1.0) for b in (-1.0, 1.0)
        for y in (low, high)
    ]  # fmt: skip


def darken(ground: Ground, mask: Array, points: Sequence[Point], amount: float) -> None:
    """Multiplies `mask` (a map of the ground) by 1 - amount inside a convex polygon."""
    rows, columns = ground.window(list(points))
    if columns.stop <= columns.start or rows.stop <= rows.start:
        return
    cover = polygon_coverage(points, XS[columns], ground.y[rows])
    if cover is not None:
        mask[rows, columns] *= 1.0 - amount * cover


def shade_box(ground: Ground, item: Item, length: float, width: float, height: float) -> None:
    """Cast shadow and contact shade of something of the size of a box."""
    if item.z - length / 2 < NEAREST_M:
        return
    frame = Frame(ground.view, ground.light, item, 1.0)
    large = length > 2.0
    sx, sy, sz = ground.light.to_sun
    if ground.light.sun[0] > 0.15:
        fall: list[Point] = []
        for corner in box_corners(length, width, 0.0, height):
            x, y, z = frame.world(corner)
            fall.append(ground.view.point(x - sx / sy * y, 0.0, max(z - sz / sy * y, NEAREST_M)))
        darken(ground, ground.lit, hull(fall), 0.92)
    if not large and frame.scale < 12.0:
        return
    for grow, amount in ((0.4, 0.25), (0.12, 0.35), (-0.15, 0.45)) if large else ((0.2, 0.5),):
        spread = max(min(length, width), 0.5) * 0.5 * grow
        ring = box_corners(length + 2 * spread, width + 2 * spread, 0.0, 0.0)[::2]
        points = [frame.project(corner) for corner in ring]
        darken(ground, ground.open, hull(points), amount)
