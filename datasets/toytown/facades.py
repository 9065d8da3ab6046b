"""Walls of buildings: brick, plaster, windows, doors and shops, filtered to the distance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from workbench_datasets.toytown.draws import Array, Draws, cloud, sample
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.layout import House
from workbench_datasets.toytown.raster import (
    Colour,
    clip,
    mixed,
    planes,
    scaled,
    srgb,
)
from workbench_datasets.toytown.street import band, pulses
from workbench_datasets.toytown.view import Light

WALLS: dict[str, list[Colour]] = {
    "brick": [srgb(132, 84, 66), srgb(112, 76, 60), srgb(150, 112, 82), srgb(128, 108, 90),
              srgb(96, 72, 62), srgb(160, 132, 102)],
    "plaster": [srgb(205, 198, 182), srgb(190, 176, 150), srgb(214, 210, 204), srgb(188, 160, 132),
                srgb(168, 176, 176), srgb(206, 184, 138), srgb(178, 150, 140)],
    "shop": [srgb(150, 128, 110), srgb(186, 180, 170), srgb(120, 92, 78), srgb(170, 160, 140)],
    "office": [srgb(150, 148, 142), srgb(122, 122, 120), srgb(172, 164, 150), srgb(110, 104, 98)],
    "glass": [srgb(96, 112, 122), srgb(78, 96, 104), srgb(120, 126, 126)],
}  # fmt: skip
STRIP_PX = 12_000
"""Maps of this size stay in the cache from one operation to the next."""
FASCIAS = [srgb(32, 40, 52), srgb(120, 30, 34), srgb(30, 70, 52), srgb(190, 184, 170),
           srgb(44, 44, 44), srgb(36, 62, 110), srgb(176, 120, 44), srgb(86, 44, 84)]  # fmt: skip


@dataclass(frozen=True)
class Style:
    """What both walls of one house share."""

    draws: Draws
    wall: Colour
    name: str
    storey_m: float
    ground_m: float
    pitch_m: float
    window_w: float
    window_h: float
    frame: Colour
    glass: Colour
    shop: bool
    table: Array


@cache
def _chances(number: int) -> Array:
    """A table of 1024 floats in [0, 1] that decides window by window."""
    return Draws("chances", number).octets(1024).astype(np.float32) * np.float32(1 / 255)


def draw_style(house: House) -> Style:
    draws = Draws("house", house.seed)
    name = house.style
    broad = name in ("office", "glass")
    wall = scaled(draws.pick(WALLS[name]), draws.between(0.8, 1.15))
    return Style(
        draws=draws,
        wall=wall,
        name=name,
        storey_m=draws.between(2.8, 3.5),
        ground_m=draws.between(3.0, 3.9),
        pitch_m=draws.between(1.5, 2.4) if broad else draws.between(2.1, 3.6),
        window_w=draws.between(0.62, 0.9) if broad else draws.between(0.3, 0.48),
        window_h=draws.between(0.55, 0.8) if broad else draws.between(0.42, 0.58),
        frame=draws.pick(
            [srgb(225, 222, 215), srgb(215, 210, 200), srgb(60, 56, 52), srgb(120, 112, 104)]
        ),
        glass=mixed(srgb(30, 36, 42), srgb(58, 66, 74), draws.unit()),
        shop=name == "shop" or (name in ("office", "plaster") and draws.chance(0.35)),
        table=_chances(draws.whole(0, 15)),
    )


def fill_facade(
    layer: Layer,
    style: Style,
    light: Light,
    u: Array,
    du: Array,
    v: Array,
    dv: Array,
    top: float,
    shine: Array,
) -> None:
    """Fills the patch: u [w] runs along the wall and v up it, in metres; du, dv are footprints.

    On walls that recede v is [h, w] and dv [w]; on those that face the camera [h, 1] and [1].
    Large ones are filled in strips, whose maps stay in the processor's cache.
    """
    height, width = layer.alpha.shape
    step = max(STRIP_PX // width, 1)
    whole = style.draws
    for first in range(0, height, step):
        rows = slice(first, first + step)
        # Every strip is drawn with the same draws.
        part = replace(style, draws=whole.again() if first + step < height else whole)
        lit = shine[:, rows] if shine.shape[1] > 1 else shine
        _fill(layer.rgb[:, rows], part, light, u, du, v[rows], dv, top, lit)


def _fill(
    rgb: Array, style: Style, light: Light, u: Array, du: Array, v: Array, dv: Array, top: float,
    shine: Array,
) -> None:  # fmt: skip
    draws = style.draws
    fine = 1.0 / (1.0 + dv * 12.0)
    grain = sample(cloud("rough", 64, 3), u * 36.0, v * 36.0)
    stain = sample(cloud("blotch", 8, 5), u * 7.0 + 50.0 * draws.unit(), v * 4.0)
    shade = 1.0 + (0.18 * fine) * grain + 0.08 * stain
    shade -= 0.22 * clip(1.0 - v * 0.8, 0.0, 1.0)
    if style.name == "brick":
        course = pulses(v * (1 / 0.15), 0.2, dv * (1 / 0.15))
        shade += 0.22 * (course - 0.2)
    if style.name == "office":
        shade -= 0.25 * pulses(v * (1 / style.storey_m), 0.03, dv * (1 / style.storey_m))
    wall = planes(style.wall) * (shade * 1.0) * shine

    storeys = max(int((top - style.ground_m - 0.4) / style.storey_m), 0)
    above = style.ground_m if style.shop else 0.35
    levels = storeys if style.shop else max(int((top - 0.7) / style.storey_m), 1)
    t = (v - above) * (1.0 / style.storey_m)
    dt = dv * (1.0 / style.storey_m)
    p = u * (1.0 / style.pitch_m)
    dp = du * (1.0 / style.pitch_m)
    inside = clip(np.minimum(t, levels - t) * (1.0 / dt) + 0.5, 0.0, 1.0)
    low, w, h = 0.27, style.window_w, style.window_h
    side = (1.0 - w) / 2
    frame_u = pulses(p - side, w, dp)
    glass_u = pulses(p - side - 0.022, w - 0.044, dp)
    if draws.chance(0.6):
        glass_u = glass_u * (1.0 - pulses(p - 0.5 + 0.01, 0.02, dp))
    storey = np.floor(t)
    rise = t - storey
    sharp = 1.0 / dt

    def stripe(bottom: float, top: float) -> Array:
        """Where `rise` lies between two heights of a storey; approximate once they blur."""
        away = np.abs(rise - (bottom + top) / 2)
        away -= (top - bottom) / 2
        away *= -sharp
        return clip(away + 0.5, 0.0, 1.0)

    cell = (np.floor(p).astype(np.int32) * 37 + storey.astype(np.int32) * 101) & 1023
    chance = style.table[cell]

    frame_v = stripe(low, low + h) * inside
    pane_v = stripe(low + 0.02, low + h - 0.02) * inside
    if draws.chance(0.5):
        pane_v = pane_v * (1.0 - stripe(low + h * 0.55, low + h * 0.55 + 0.016))
    trim = planes(style.frame) * shine
    sill = (stripe(low - 0.04, low + 0.005) * inside) * pulses(p - side + 0.03, w + 0.06, dp)
    wall += (trim - wall) * np.maximum(0.8 * sill, frame_u * frame_v)
    glass = _glass(style, light, chance, rise - low, h, stain)
    # The lintel throws a thin shadow over the top of the pane.
    glass *= 1.0 - 0.45 * stripe(low + h * 0.88, low + h)
    wall += (glass - wall) * (glass_u * pane_v)
    if style.shop:
        _shop(wall, style, light, u, du, v, dv, shine, grain * fine)
    else:
        door = band(p - np.floor(p), 0.3, 0.68, 1e-2 + dp) * band(v, 0.0, 2.1, dv)
        door = door * (style.table[(np.floor(p).astype(np.int32) * 13) & 1023] > 0.78)
        colour = scaled(draws.pick(FASCIAS), 0.7)
        wall += (planes(colour) * shine - wall) * door
    cornice = band(v, top - 0.35, top, dv)
    wall *= 1.0 + 0.22 * cornice
    wall *= 1.0 - 0.35 * band(v, top - 0.5, top - 0.35, dv)
    rgb[:] = wall


def _glass(style: Style, light: Light, chance: Array, rise: Array, h: float, stain: Array) -> Array:
    """Window panes [3, h, w]: dark rooms, curtains, reflected sky, lamplight at dusk."""
    curtain = clip((chance - 0.62) * 3.0, 0.0, 0.55)
    sky = planes(mixed(light.zenith, light.horizon, 0.5))
    mirror = clip(0.1 + 0.5 * np.abs(chance - 0.4) + 0.2 * stain, 0.03, 0.6)
    mirror = mirror * clip(0.4 + rise * (0.8 / h), 0.3, 1.2)
    ambient = planes(light.ambient)
    glass = planes(style.glass) * ambient * (0.6 + 0.8 * chance) + sky * (mirror * 0.55)
    glass += (planes(srgb(190, 180, 165)) * ambient * 0.7 - glass) * curtain
    if light.lamps > 0.0:
        glow = ((chance * 7.0) % 1.0 > 0.55) * (light.lamps * (0.35 + 0.5 * chance))
        glass += planes((1.0, 0.72, 0.38)) * glow
    return glass


def _shop(
    wall: Array, style: Style, light: Light, u: Array, du: Array, v: Array,
    dv: Array, shine: Array, grain: Array,
) -> None:  # fmt: skip
    """Ground floor with large panes and a fascia above, in units of several metres."""
    draws = style.draws
    width = draws.between(4.0, 8.0)
    p, dp = u * (1 / width), du * (1 / width)
    unit = (np.floor(p).astype(np.int32) * 7) & 1023
    pick = (style.table[unit] * 7.99).astype(np.int32)
    colours = np.array(FASCIAS, np.float32).T[:, pick][:, None, :]
    below = band(v, 0.0, style.ground_m, dv)
    wall += (colours * shine * 0.9 - wall) * below
    pane_v = band(v, 0.45, style.ground_m - 0.75, dv)
    pane = pulses(p - 0.03, 0.94, dp) * (1.0 - pulses(u * (1 / 1.3), 0.05, du * (1 / 1.3))) * pane_v
    goods = sample(cloud("slab", 256, 1), u * 2.6, v * 2.2) + 0.4 * grain
    tint = sample(cloud("goods", 16, 3), u * 8.0, v * 9.0 + 70.0)
    inside = 0.05 + 0.12 * clip(goods + 0.25, 0.0, 1.0) * clip(2.2 - v, 0.0, 1.0)
    warm = planes((1.0, 0.85 - 0.1 * draws.unit(), 0.65))
    power = planes(light.ambient) * (0.5 + 0.3 * clip(tint, -0.5, 1.0)) * inside
    sky = planes(light.horizon)
    glass = power + sky * (0.05 + 0.06 * clip(tint, 0.0, 1.0))
    if light.lamps > 0.0:
        glass = glass + warm * ((inside * 3.2 + 0.12) * light.lamps)
    wall += (glass - wall) * pane
    letters = pulses(u * (1 / 0.34), 0.6, du * (1 / 0.34)) * band(
        v, style.ground_m - 0.5, style.ground_m - 0.2, dv
    )
    letters = letters * pulses(p - 0.25, 0.5, dp)
    wall += (planes(srgb(225, 215, 190)) * shine - wall) * (letters * 0.8)
    if draws.chance(0.4):
        awning = pulses(p - 0.1, 0.8, dp) * band(v, style.ground_m - 1.3, style.ground_m - 0.7, dv)
        stripes = 0.55 + 0.45 * pulses(u * 2.0, 0.5, du * 2.0)
        wall += (planes(draws.pick(FASCIAS)) * shine * stripes * 1.3 - wall) * awning
