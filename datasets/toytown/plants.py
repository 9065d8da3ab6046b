"""Trees and hedges: noise decides their outline, their leaves and the holes between them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from workbench_datasets.toytown.classes import BY_NAME
from workbench_datasets.toytown.draws import Draws, cloud, sample
from workbench_datasets.toytown.layers import Canvas, Layer
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import (
    WIDTH,
    XS,
    YS,
    Colour,
    clip,
    mixed,
    planes,
    scaled,
    srgb,
    times,
)
from workbench_datasets.toytown.street import Ground, band
from workbench_datasets.toytown.view import Light, View

LEAVES: list[Colour] = [srgb(64, 88, 36), srgb(84, 104, 48), srgb(48, 72, 40), srgb(104, 108, 50),
                        srgb(128, 102, 44), srgb(70, 84, 56)]  # fmt: skip


@lru_cache(maxsize=1024)
def tree_size(item: Item) -> tuple[float, float]:
    """Height and canopy radius in metres."""
    draws = Draws("tree size", item.seed)
    height = draws.between(4.5, 11.0)
    return height, height * draws.between(0.24, 0.36)


def shade_tree(ground: Ground, item: Item) -> None:
    """The dappled shadow of a tree."""
    height, radius = tree_size(item)
    sx, sy, sz = ground.light.to_sun
    middle = height - radius
    x, z = item.x - sx / sy * middle, item.z - sz / sy * middle
    if z - radius * 1.6 < 1.0 or z > 60.0:
        return
    # The shadow ends where dx^2 + dz^2 below reaches 1.8: at 1.35 radii.
    near, far = max(z - 1.95 * radius, 1.0), z + 1.95 * radius
    ends = [ground.view.point(x + side * 1.35 * radius, 0.0, at)
            for side in (-1.0, 1.0) for at in (near, far)]  # fmt: skip
    rows, columns = ground.window(ends)
    wx, wz = ground.x[rows, columns], ground.z[rows]
    dx, dz = (wx - x) * (1.0 / radius), (wz - z) * (0.7 / radius)
    ragged = sample(cloud("leaf", 16, 4), wx * 16.0, wz * 16.0)
    inside = 1.0 - (dx * dx + dz * dz) + 0.8 * ragged
    ground.lit[rows, columns] *= 1.0 - clip(inside * 1.6, 0.0, 0.88)


def paint_tree(canvas: Canvas, view: View, light: Light, item: Item, lit: float) -> None:
    if item.z < 3.0:
        return
    height, radius = tree_size(item)
    draws = Draws("tree", item.seed)
    foot = view.point(item.x, 0.0, item.z)
    scale = view.focal / item.z
    reach = radius * 1.5 * scale
    if foot[0] + reach < 0.0 or foot[0] - reach > WIDTH:
        return
    haze, label = light.haze_share(item.z), BY_NAME["vegetation"].train_id
    bark = times(mixed(srgb(74, 62, 50), srgb(98, 92, 82), draws.unit()), light.on(0, 0, -1, lit))
    head = foot[1] - height * scale
    middle = foot[1] - (height - radius) * scale
    wood = Layer(foot[0] - reach, head, foot[0] + reach, foot[1], bark)
    side = 1.0 if light.to_sun[0] > 0 else -1.0
    girth = (0.1 + 0.02 * height) * scale
    lean = draws.between(-0.06, 0.06) * height * scale
    fork = (foot[0] + lean, foot[1] - (height - 1.7 * radius) * scale)
    wood.limb(foot, fork, girth, girth * 0.7, bark, light=side)
    if scale > 14.0:
        for _ in range(4):
            tip = (fork[0] + draws.between(-0.8, 0.8) * radius * scale,
                   fork[1] - draws.between(0.4, 1.8) * radius * scale)  # fmt: skip
            wood.limb(fork, tip, girth * 0.5, girth * 0.12, bark, light=side)
    canvas.paste(wood, light.horizon, haze, label)

    crown = Layer(foot[0] - reach, head - 0.3 * radius * scale, foot[0] + reach,
                  middle + 1.6 * radius * scale, bark)  # fmt: skip
    if crown.empty:
        return
    x = (XS[crown.x0 : crown.x1] - foot[0] - lean) * (1.0 / (radius * scale))
    y = (YS[crown.y0 : crown.y1] - middle) * (1.0 / (radius * scale))
    u0, v0 = draws.between(0.0, 256.0), draws.between(0.0, 256.0)
    shape = None
    for _ in range(7):
        bx, by, br = draws.between(-0.7, 0.7), draws.between(-0.7, 0.55), draws.between(0.4, 0.75)
        blob = (br * br - (x - bx) * (x - bx)) - (y - by) * (y - by)
        shape = blob if shape is None else np.maximum(shape, blob)
    assert shape is not None
    rough = sample(cloud("leaf", 16, 4), x * 40.0 + u0, y * 40.0 + v0)
    clump = sample(cloud("clump", 8, 4), x * 22.0 + v0, y * 22.0 + u0)
    leaf = sample(cloud("rough", 64, 3), x * (radius * 42.0) + u0, y * (radius * 42.0) + v0)
    sparse = draws.between(0.05, 0.35)
    density = shape * 2.2 + 0.30 * clump + 0.32 * rough + 0.25 * leaf - sparse
    sharp = min(max(0.35 * scale * radius * 0.16, 1.0), 4.0)
    crown.alpha[:] = clip(density * sharp + 0.2, 0.0, 1.0)
    green = mixed(scaled(draws.pick(LEAVES), draws.between(0.8, 1.2)), LEAVES[0], 0.3)
    sx, sy, _ = light.to_sun
    facing = clip(0.45 + 0.5 * (x * sx - y * sy) + 0.75 * clump + 0.25 * rough, 0.0, 1.4)
    dim = clip(0.62 - 0.3 * y + 0.42 * clump + 0.3 * leaf, 0.12, 1.3)
    tint = 1.0 + 0.35 * rough
    for plane in range(3):
        power = light.ambient[plane] * dim + (0.62 * light.sun[plane] * lit) * facing
        warm = tint if plane == 0 else 1.0
        crown.rgb[plane] = green[plane] * warm * power * (1.0 + 0.3 * leaf)
    canvas.paste(crown, light.horizon, haze, label)


def paint_hedge(canvas: Canvas, view: View, light: Light, item: Item, lit: float) -> None:
    """A hedge along the street; the item's heading holds its half length in metres."""
    half = item.heading or 0.0
    draws = Draws("hedge", item.seed)
    height, deep = draws.between(0.9, 1.9), draws.between(0.6, 1.1)
    z0, z1 = max(item.z - half, 2.6), item.z + half
    if z1 < z0 + 0.3:
        return
    out = deep if item.x > 0 else -deep
    every = [view.point(x, y, z) for x in (item.x, item.x + out) for y in (0.0, height + 0.15)
             for z in (z0, z1)]  # fmt: skip
    layer = Layer(min(p[0] for p in every), min(p[1] for p in every),
                  max(p[0] for p in every), max(p[1] for p in every), LEAVES[0])  # fmt: skip
    if layer.empty:
        return
    green = mixed(draws.pick(LEAVES), LEAVES[2], 0.5)
    columns, rows = XS[layer.x0 : layer.x1], YS[layer.y0 : layer.y1]
    # Street side: z follows from the column; end: z = z0 from the near corner outwards.
    offset = np.maximum((columns - view.cx) * (1.0 if item.x > 0 else -1.0), 1e-3)
    z = clip(view.focal * abs(item.x) / offset, z0, z1)
    scale = z * (1.0 / view.focal)
    v = view.height_m - (rows - view.cy) * scale
    corner = view.point(item.x, 0.0, z0)[0]
    sideways = (columns - corner) * (z0 / view.focal)
    u = np.where(z > z0, z, sideways * (1.0 if item.x > 0 else -1.0) + z0)
    leaf = sample(cloud("rough", 64, 3), u * 40.0, v * 40.0)
    clump = sample(cloud("leaf", 16, 4), u * 18.0, v * 18.0)
    ragged = 0.12 * clump + 0.08 * leaf
    ends = clip(columns - min(p[0] for p in every), 0.0, 1.0)
    ends = ends * clip(max(p[0] for p in every) - columns, 0.0, 1.0)
    layer.alpha[:] = clip(band(v - ragged, -0.3, height, scale) * ends, 0.0, 1.0)
    layer.alpha *= v > -0.02
    face = light.on(-1.0 if item.x > 0 else 1.0, 0.3, 0.0, lit)
    shade = clip(0.45 + 0.5 * v * (1.0 / height) + 0.4 * clump + 0.35 * leaf, 0.1, 1.7)
    layer.rgb[:] = planes(times(green, face)) * shade
    canvas.paste(layer, light.horizon, light.haze_share(z0), BY_NAME["vegetation"].train_id)
