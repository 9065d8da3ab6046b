"""Sky and ground: everything below and above the houses that has no volume of its own."""

from __future__ import annotations

from copy import copy

import numpy as np

from workbench_datasets.toytown.classes import BY_NAME
from workbench_datasets.toytown.draws import Array, Draws, cloud, sample
from workbench_datasets.toytown.layers import Canvas
from workbench_datasets.toytown.layout import Street
from workbench_datasets.toytown.raster import (
    HEIGHT,
    WIDTH,
    XS,
    YS,
    Colour,
    Point,
    clip,
    mixed,
    planes,
    scaled,
    srgb,
)
from workbench_datasets.toytown.view import Light, View

STRIP_ROWS = 32
"""Maps of this size stay in the cache from one operation to the next."""


def pulses(t: Array, duty: float, blur: Array | float) -> Array:
    """A pulse train (1 for the first `duty` of each unit of t) averaged over a width `blur`."""

    def integral(s: Array) -> Array:
        whole = np.floor(s)
        s -= whole
        np.minimum(s, duty, out=s)
        whole *= duty
        whole += s
        return whole

    half = blur * 0.5
    share = integral(t + half)
    share -= integral(t - half)
    share /= blur
    return share


def band(t: Array, low: float, high: float, blur: Array | float) -> Array:
    """1 where low < t < high, averaged over a width `blur`."""
    half = blur * 0.5
    end, begin = t + half, t - half
    np.minimum(end, high, out=end)
    end -= np.maximum(begin, low, out=begin)
    np.maximum(end, 0.0, out=end)
    end /= blur
    return end


def paint_sky(canvas: Canvas, view: View, light: Light, draws: Draws) -> None:
    rows = min(HEIGHT, int(view.cy) + 2)
    y = YS[:rows]
    rise = clip((view.cy - y) / (view.cy * 1.1), 0.0, 1.0)
    # Clouds lie on a plane overhead: their pattern narrows towards the horizon.
    depth = 1.0 / (rise + 0.12)
    texture = cloud("sky", 4, 6)
    u = (XS - view.cx) * depth * 0.16 + draws.between(0.0, 256.0)
    v = depth * 40.0 + draws.between(0.0, 256.0)
    cover = sample(texture, u, v)
    finer = sample(texture, u * 0.5 + 97.0, v * 0.5 + 31.0)
    amount = (cover * 0.6 + finer * 0.4 + (light.overcast * 1.7 - 0.95)) * 1.6
    amount = clip(amount, 0.0, 1.0) * clip(rise * 3.0 + 0.25, 0.0, 1.0)
    bright = mixed(light.horizon, (1.0, 1.0, 1.0), 0.35 if light.kind in ("sun", "cloud") else 0.0)
    shade = 0.82 + 0.22 * finer
    glow = draws.between(-60.0, 60.0) + view.cx
    warm = 1.0 / (1.0 + ((XS - glow) * (1 / 190.0)) * ((XS - glow) * (1 / 190.0)))
    for plane in range(3):
        fade = 1.0 - rise
        fade = fade * fade
        base = light.zenith[plane] + (light.horizon[plane] - light.zenith[plane]) * fade
        sky = base + (bright[plane] * shade - base) * amount
        if light.kind == "dusk":
            sky = sky * (0.75 + 0.5 * warm * fade)
        canvas.rgb[plane, :rows] = sky
    canvas.semantic[:rows] = BY_NAME["sky"].train_id


class Ground:
    """World coordinates of every pixel below the horizon, and the light that reaches it.

    `lit` is the share of sunlight (shadows) and `open` the share of skylight (contact shade); both
    are float32 [rows, W], multiplied down by whatever stands on the ground before `paint`.
    """

    def __init__(self, view: View, street: Street, light: Light) -> None:
        self.view, self.street, self.light = view, street, light
        self.top = int(view.cy) + 3
        self.y = YS[self.top :]
        self.z = (view.focal * view.height_m) / (self.y - view.cy)
        self.x = (XS - view.cx) * (self.z * (1.0 / view.focal))
        self.dx = self.z * (1.0 / view.focal)
        self.dz = self.z * self.z * (1.0 / (view.focal * view.height_m))
        self.lit = np.ones_like(self.x)
        self.open = np.ones_like(self.x)

    def window(self, points: list[Point]) -> tuple[slice, slice]:
        """Rows and columns of the ground's maps around points of the picture; maybe empty."""
        low_x, high_x = min(p[0] for p in points), max(p[0] for p in points)
        low_y, high_y = min(p[1] for p in points), max(p[1] for p in points)
        columns = slice(max(int(low_x) - 1, 0), max(min(int(high_x) + 2, WIDTH), 0))
        rows = slice(max(int(low_y) - 1 - self.top, 0), max(int(high_y) + 2 - self.top, 0))
        return rows, columns

    def house_shadow(self) -> None:
        """Shadow of the row of houses on the sun's side."""
        sx, sy, sz = self.light.to_sun
        side = 1 if sx > 0 else -1
        skyline = np.zeros(256, np.float32)
        for house in self.street.houses:
            if house.side == side:
                skyline[max(int(house.z0) + 40, 0) : max(int(house.z1) + 41, 0)] = house.height_m
        away = (side * self.street.wall(side) - self.x) * (1.0 / sx)
        behind = clip(self.z + away * sz + 40.0, 0.0, 255.0).astype(np.int32)
        clear = away * sy - skyline[behind]
        self.lit *= clip(clear * 2.5 + 0.5, 0.0, 1.0)

    def strip(self, first: int, last: int) -> Ground:
        """Rows `first` to `last` of the ground, as a ground of its own."""
        part = copy(self)
        part.top = self.top + first
        for name in ("y", "z", "x", "dx", "dz", "lit", "open"):
            setattr(part, name, getattr(self, name)[first:last])
        return part

    def paint(self, canvas: Canvas, draws: Draws) -> None:
        """Paints the ground in strips, whose maps stay in the processor's cache."""
        rows = self.y.shape[0]
        for first in range(0, rows, STRIP_ROWS):
            last = min(first + STRIP_ROWS, rows)
            self.strip(first, last)._paint(canvas, draws.again() if last < rows else draws)
        # Between the horizon and the first ground row lies the far end of the ground.
        far = slice(int(self.view.cy), self.top)
        canvas.rgb[:, far] = canvas.rgb[:, self.top : self.top + 1]
        canvas.semantic[far] = canvas.semantic[self.top]

    def _paint(self, canvas: Canvas, draws: Draws) -> None:
        light = self.light
        rows = slice(self.top, self.top + self.y.shape[0])
        rough = cloud("rough", 64, 3)
        blotch = cloud("blotch", 8, 5)
        near = 1.0 / (1.0 + self.dz * 14.0)
        u0, v0 = draws.between(0.0, 256.0), draws.between(0.0, 256.0)
        grain = sample(rough, self.x * 30.0 + u0, self.z * 30.0 + v0) * near
        stain = sample(blotch, self.x * 9.0 + u0, self.z * 4.0 + v0)
        far = 1.0 / (1.0 + self.dz * 2.0)

        grass = mixed(srgb(72, 92, 42), srgb(112, 116, 62), draws.unit())
        rgb = planes(grass) * (1.0 + 0.45 * grain + 0.3 * stain * far)
        labels = np.full(self.x.shape, BY_NAME["vegetation"].train_id, np.uint8)
        self._pavement(rgb, labels, grain, stain * far, draws)
        self._road(rgb, labels, grain, stain * far, near, draws)

        up = light.to_sun[1]
        haze = self.z / (self.z + light.haze_m)
        for plane in range(3):
            power = light.ambient[plane] * self.open + (light.sun[plane] * up) * self.lit
            colour = rgb[plane] * power
            canvas.rgb[plane, rows] = colour + (light.horizon[plane] - colour) * haze
        canvas.semantic[rows] = labels

    def _blend(self, rgb: Array, cover: Array, paint: Array) -> None:
        step = paint - rgb
        step *= cover
        rgb += step

    def _pavement(
        self,
        rgb: Array,
        labels: Array,
        grain: Array,
        stain: Array,
        draws: Draws,
    ) -> None:
        street = self.street
        size = draws.pick([0.45, 0.6, 0.9])
        tone = mixed(srgb(142, 136, 128), srgb(118, 116, 114), draws.unit())
        tone = mixed(tone, srgb(150, 118, 100), draws.pick([0.0, 0.0, 0.5]))
        joints = np.maximum(
            pulses(self.x * (1 / size), 0.05, self.dx * (1 / size)),
            pulses(self.z * (1 / size), 0.05, self.dz * (1 / size)),
        )
        slab = sample(cloud("slab", 256, 1), self.x * (1 / size), self.z * (1 / size))
        shade = 1.0 + 0.2 * grain + 0.2 * stain + (0.14 * slab) / (1.0 + self.dz) - 0.4 * joints
        kinds = street.lawn
        left = street.wall(-1) + (0.0 if kinds[0] else 30.0)
        right = street.wall(1) + (0.0 if kinds[1] else 30.0)
        cover = band(self.x, -left, right, self.dx)
        self._blend(rgb, cover, planes(tone) * shade)
        labels[cover >= 0.5] = BY_NAME["pavement"].train_id

    def _road(
        self, rgb: Array, labels: Array, grain: Array, stain: Array,
        near: Array, draws: Draws,
    ) -> None:  # fmt: skip
        street = self.street
        tone = draws.between(62.0, 100.0)
        asphalt = srgb(int(tone), int(tone) + 1, int(tone + draws.between(0.0, 6.0)))
        shade = 1.0 + 0.34 * grain + 0.22 * stain
        middle = (street.left + street.right) / 2
        half = (street.right - street.left) / 2
        # Wheels polish two tracks in each lane; oil darkens the strip between.
        lane = (self.x - middle) * (1.0 / half)
        track = np.abs(np.abs(lane) - 0.5)
        shade += 0.1 * clip(1.0 - np.abs(track - 0.22) * 9.0, 0.0, 1.0)
        shade -= 0.1 * clip(1.0 - track * 7.0, 0.0, 1.0)
        for _ in range(draws.whole(0, 4)):
            xa, za = draws.between(street.left, street.right), draws.between(3.0, 25.0)
            wide, deep = draws.between(0.5, 2.0), draws.between(0.6, 6.0)
            patch = band(self.x, xa, xa + wide, self.dx) * band(self.z, za, za + deep, self.dz)
            shade += patch * draws.between(-0.28, 0.2)
        crack = sample(cloud("crack", 16, 4), self.x * 14.0, self.z * 7.0)
        shade -= 0.45 * clip(1.0 - np.abs(crack) * 26.0, 0.0, 1.0) * near
        xm, zm = draws.between(street.left * 0.7, street.right * 0.7), draws.between(5.0, 14.0)
        ring = (self.x - xm) * (self.x - xm) + (self.z - zm) * (self.z - zm)
        shade -= 0.4 * clip(1.0 - np.abs(ring - 0.1) * 16.0, 0.0, 1.0)
        paint = planes(asphalt) * shade

        cover = band(self.x, street.left, street.right, self.dx)
        if street.cross is not None:
            cover = np.maximum(cover, band(self.z, street.cross[0], street.cross[1], self.dz))
        worn = clip(0.85 + 0.5 * grain + 0.35 * stain, 0.25, 1.0)
        for mark, colour in self._markings(draws):
            self._blend(paint, mark * worn, planes(colour))
        kerb = mixed(srgb(165, 162, 155), srgb(130, 128, 125), draws.unit())
        keep = 1.0 - cover
        edge = np.maximum(
            band(self.x, street.left - 0.16, street.left, self.dx),
            band(self.x, street.right, street.right + 0.16, self.dx),
        )
        self._blend(rgb, edge * keep, planes(kerb) * (1.0 + 0.2 * grain))
        gutter = np.maximum(
            band(self.x, street.left, street.left + 0.12, self.dx),
            band(self.x, street.right - 0.12, street.right, self.dx),
        )
        paint *= 1.0 - 0.45 * gutter
        self._blend(rgb, cover, paint)
        labels[cover >= 0.5] = BY_NAME["road"].train_id

    def _markings(self, draws: Draws) -> list[tuple[Array, Colour]]:
        """Coverage and colour of each kind of line on the road."""
        street = self.street
        middle = (street.left + street.right) / 2
        white = scaled(srgb(214, 214, 208), draws.between(0.7, 1.0))
        amber = srgb(205, 165, 70)
        marks: list[tuple[Array, Colour]] = []
        clear: Array | float = 1.0
        if street.cross is not None:
            clear = 1.0 - band(self.z, street.cross[0] - 4.2, street.cross[1] + 2.0, self.dz)
        period = draws.pick([4.0, 6.0, 9.0])
        dashes = pulses(self.z * (1 / period), 0.5, self.dz * (1 / period)) * clear
        if draws.chance(0.85):
            marks.append((band(self.x, middle - 0.07, middle + 0.07, self.dx) * dashes, white))
        if draws.chance(0.4):
            inset, colour = draws.between(0.3, 0.6), draws.pick([white, amber])
            for low in (street.left + inset, street.right - inset - 0.1):
                marks.append((band(self.x, low, low + 0.1, self.dx) * clear, colour))
                if colour is amber:
                    twin = band(self.x, low + 0.2, low + 0.3, self.dx) * clear
                    marks.append((twin, colour))
        if street.cross is not None and draws.chance(0.7):
            at = street.cross[0] - draws.between(3.2, 3.8)
            zebra = band(self.z, at, at + 2.6, self.dz) * pulses(self.x, 0.5, self.dx)
            marks.append((zebra * band(self.x, street.left, street.right, self.dx), white))
        elif draws.chance(0.3):
            at = draws.between(6.0, 16.0)
            zebra = band(self.z, at, at + 2.6, self.dz) * pulses(self.x, 0.5, self.dx)
            marks.append((zebra * band(self.x, street.left, street.right, self.dx), white))
        return marks
