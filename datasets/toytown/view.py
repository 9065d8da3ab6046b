"""Where the camera stands and what light falls on the street."""

from __future__ import annotations

from dataclasses import dataclass

from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.raster import Colour, Point, mixed, scaled, srgb


@dataclass(frozen=True)
class View:
    """A pinhole camera `height_m` above X = 0, Z = 0, looking along Z; verticals stay upright."""

    focal: float
    cx: float
    cy: float
    height_m: float

    def point(self, x: float, y: float, z: float) -> Point:
        """Pixel coordinates of a point x to the right, y above ground, z > 0 ahead, in metres."""
        scale = self.focal / z
        return self.cx + x * scale, self.cy + (self.height_m - y) * scale


@dataclass(frozen=True)
class Light:
    """Light and air: `sun` and `ambient` are linear light, `to_sun` is a unit vector."""

    kind: str
    sun: Colour
    ambient: Colour
    to_sun: tuple[float, float, float]
    zenith: Colour
    horizon: Colour
    haze_m: float
    overcast: float
    wet: float
    lamps: float
    noise: float

    def haze_share(self, z: float) -> float:
        """Share of haze in what is seen at distance z; a rational stand-in for 1 - exp(-z/d)."""
        return z / (z + self.haze_m)

    def on(self, nx: float, ny: float, nz: float, lit: float = 1.0) -> Colour:
        """Light on a face with unit normal (nx, ny, nz), of whose sunlight a share `lit` comes."""
        sx, sy, sz = self.to_sun
        direct = max(nx * sx + ny * sy + nz * sz, 0.0) * lit
        sky = 0.68 + 0.32 * ny
        a, s = self.ambient, self.sun
        return a[0] * sky + s[0] * direct, a[1] * sky + s[1] * direct, a[2] * sky + s[2] * direct


def unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    # Newton steps instead of a library square root: exact operations only, and no import.
    square, guess = x * x + y * y + z * z, 1.0
    for _ in range(30):
        guess = 0.5 * (guess + square / guess)
    return x / guess, y / guess, z / guess


def draw_view(draws: Draws) -> View:
    return View(
        focal=draws.between(400.0, 520.0),
        cx=256.0 + draws.between(-70.0, 70.0),
        cy=draws.between(128.0, 166.0),
        height_m=draws.between(1.35, 2.3),
    )


def draw_light(draws: Draws) -> Light:
    kind = draws.pick(["sun", "sun", "sun", "cloud", "cloud", "dusk", "dusk", "rain"])
    side = draws.pick([-1.0, 1.0])
    if kind == "sun":
        to_sun = unit(side * draws.between(0.3, 1.2), draws.between(0.45, 1.3),
                      draws.between(-0.9, 0.6))  # fmt: skip
        warm = draws.unit()
        return Light(
            kind,
            sun=mixed((1.5, 1.42, 1.28), (1.6, 1.25, 0.85), warm),
            ambient=scaled((0.34, 0.40, 0.50), draws.between(0.8, 1.2)),
            to_sun=to_sun,
            zenith=mixed(srgb(96, 142, 205), srgb(150, 185, 222), draws.unit()),
            horizon=mixed(srgb(205, 225, 240), srgb(235, 232, 222), warm),
            haze_m=draws.between(350.0, 1200.0),
            overcast=draws.between(0.0, 0.65),
            wet=0.0,
            lamps=0.0,
            noise=draws.between(0.008, 0.016),
        )
    if kind == "cloud":
        tone = draws.between(0.8, 1.1)
        return Light(
            kind,
            sun=(0.12, 0.12, 0.12),
            ambient=scaled((0.86, 0.90, 0.96), tone),
            to_sun=unit(side * 0.3, 1.0, -0.2),
            zenith=srgb(188, 198, 210),
            horizon=srgb(228, 231, 233),
            haze_m=draws.between(220.0, 700.0),
            overcast=draws.between(0.8, 1.0),
            wet=draws.between(0.0, 0.15),
            lamps=0.0,
            noise=draws.between(0.009, 0.018),
        )
    if kind == "dusk":
        warm = draws.unit()
        return Light(
            kind,
            sun=mixed((0.30, 0.17, 0.10), (0.10, 0.08, 0.10), draws.unit()),
            ambient=scaled((0.27, 0.29, 0.42), draws.between(0.65, 1.25)),
            to_sun=unit(side * draws.between(0.3, 1.0), 0.25, draws.between(0.3, 1.0)),
            zenith=scaled(srgb(60, 78, 130), draws.between(0.5, 1.1)),
            horizon=mixed(srgb(225, 150, 105), srgb(150, 140, 165), warm),
            haze_m=draws.between(250.0, 700.0),
            overcast=draws.between(0.2, 0.9),
            wet=draws.pick([0.0, 0.0, draws.between(0.3, 0.8)]),
            lamps=1.0,
            noise=draws.between(0.016, 0.03),
        )
    return Light(
        kind,
        sun=(0.04, 0.04, 0.04),
        ambient=scaled((0.60, 0.65, 0.71), draws.between(0.7, 1.1)),
        to_sun=unit(side * 0.3, 1.0, -0.2),
        zenith=srgb(150, 158, 168),
        horizon=srgb(190, 195, 199),
        haze_m=draws.between(90.0, 240.0),
        overcast=1.0,
        wet=draws.between(0.55, 1.0),
        lamps=draws.pick([0.0, 0.6]),
        noise=draws.between(0.012, 0.022),
    )
