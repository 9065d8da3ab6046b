"""A figure: rounded limbs and blobs in metres around a foot point, on a patch of its own."""

from __future__ import annotations

from workbench_datasets.toytown.draws import cloud, sample
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import XS, YS, Colour, Point, scaled, times
from workbench_datasets.toytown.view import Light, View


class Figure:
    """Limbs in metres around a foot point: x to the right, y up."""

    def __init__(
        self, view: View, light: Light, item: Item, lit: float, wide: float, tall: float
    ) -> None:
        self.scale = view.focal / item.z
        self.foot = view.point(item.x, 0.0, item.z)
        self.power = light.on(0.0, 0.1, -0.6, lit)
        tilt = light.to_sun[0] * (1.0 if light.kind in ("sun", "dusk") else 0.25)
        self.side = max(min(tilt * 1.3, 1.0), -1.0)
        self.layer = Layer(
            self.foot[0] - wide * self.scale,
            self.foot[1] - tall * self.scale,
            self.foot[0] + wide * self.scale,
            self.foot[1] + 0.08 * self.scale,
            scaled(self.power, 0.03),
        )

    def at(self, x: float, y: float) -> Point:
        return self.foot[0] + x * self.scale, self.foot[1] - y * self.scale

    def limb(
        self, xa: float, ya: float, xb: float, yb: float, ra: float, rb: float, colour: Colour
    ) -> None:
        """A limb from (xa, ya) to (xb, yb); too thin ones are left out."""
        if max(ra, rb) * self.scale < 0.3:
            return
        self.layer.limb(self.at(xa, ya), self.at(xb, yb), ra * self.scale, rb * self.scale,
                        times(colour, self.power), light=self.side)  # fmt: skip

    def blob(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        point = self.at(x, y)
        self.layer.ellipse(point[0], point[1], rx * self.scale, ry * self.scale,
                           times(colour, self.power))  # fmt: skip

    def area(self, points: list[Point], colour: Colour, bottom: float = 0.8) -> None:
        paint = times(colour, self.power)
        self.layer.polygon([self.at(*p) for p in points], paint, bottom=scaled(paint, bottom))

    def weave(self, seed: int) -> None:
        """Folds and unevenness of cloth over the whole figure."""
        if self.layer.empty:
            return
        u = XS[self.layer.x0 : self.layer.x1] * (130.0 / self.scale) + float(seed & 255)
        v = YS[self.layer.y0 : self.layer.y1] * (90.0 / self.scale)
        self.layer.rgb *= 1.0 + 0.2 * sample(cloud("leaf", 16, 4), u, v)

    def ring(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A bicycle wheel from the side."""
        at = self.at(x, y)
        self.layer.ring(at[0], at[1], radius * self.scale, 0.03 * self.scale,
                        times(colour, self.power))  # fmt: skip
