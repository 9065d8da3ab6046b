"""Sizes, paints and materials of vehicles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import Colour, srgb

PAINTS: list[Colour] = [
    srgb(28, 29, 32),
    srgb(30, 32, 36),
    srgb(198, 200, 202),
    srgb(168, 172, 176),
    srgb(120, 124, 128),
    srgb(225, 225, 222),
    srgb(222, 222, 220),
    srgb(70, 74, 80),
    srgb(34, 48, 84),
    srgb(48, 76, 122),
    srgb(132, 22, 26),
    srgb(160, 34, 30),
    srgb(52, 72, 58),
    srgb(176, 150, 60),
    srgb(84, 58, 46),
    srgb(62, 96, 110),
]
TYRE, HUB = srgb(24, 24, 25), srgb(128, 130, 134)
GLASS, TRIM = srgb(24, 28, 32), srgb(32, 32, 34)
RED, PALE, PLATE = srgb(150, 18, 18), srgb(222, 224, 226), srgb(206, 204, 186)


@dataclass(frozen=True)
class Body:
    """Sizes of one vehicle in metres: the l of its windscreen foot, roof ends and rear window."""

    length: float
    width: float
    height: float
    belt: float
    bonnet: float
    screen: float
    roof_front: float
    roof_rear: float
    tail: float


@lru_cache(maxsize=1024)
def draw_body(item: Item) -> Body:
    draws = Draws("body", item.seed)
    if item.kind == "truck":
        return Body(draws.between(6.5, 9.5), 2.45, draws.between(3.0, 3.7), 1.0, 0, 0, 0, 0, 0)
    if item.kind == "bus":
        return Body(draws.between(10.0, 12.0), 2.5, draws.between(2.9, 3.2), 1.0, 0, 0, 0, 0, 0)
    if item.kind == "van":
        n, height = draws.between(4.7, 5.6), draws.between(1.95, 2.5)
        return Body(n, 1.95, height, 1.12, 0.98, n / 2 - 0.75, n / 2 - 1.45, -n / 2 + 0.1, -n / 2)
    shape = draws.pick(["hatch", "hatch", "saloon", "estate", "suv"])
    n = {"hatch": 3.9, "saloon": 4.6, "estate": 4.6, "suv": 4.5}[shape] + draws.between(-0.2, 0.2)
    tall = {"hatch": 1.48, "saloon": 1.43, "estate": 1.5, "suv": 1.72}[shape]
    belt = tall * draws.between(0.61, 0.65)
    front = n / 2 - {"hatch": 0.95, "saloon": 1.25, "estate": 1.2, "suv": 1.1}[shape]
    rear = -n / 2 + {"hatch": 0.08, "saloon": 0.75, "estate": 0.1, "suv": 0.1}[shape]
    slope = {"hatch": 0.4, "saloon": 0.65, "estate": 0.35, "suv": 0.3}[shape]
    return Body(n, draws.between(1.7, 1.85), tall + draws.between(-0.04, 0.06), belt, belt - 0.2,
                front, front - draws.between(0.6, 0.8), rear + slope, rear)  # fmt: skip
