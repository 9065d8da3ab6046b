"""Buildings: a front along the street, an end wall, a roof; and blocks at the street's end."""

from __future__ import annotations

import numpy as np

from workbench_datasets.toytown.classes import BY_NAME
from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.facades import Style, draw_style, fill_facade
from workbench_datasets.toytown.layers import Canvas, Layer
from workbench_datasets.toytown.layout import House, Item
from workbench_datasets.toytown.raster import (
    HEIGHT,
    WIDTH,
    XS,
    YS,
    clip,
    mixed,
    planes,
    polygon_coverage,
    srgb,
    times,
)
from workbench_datasets.toytown.street import band
from workbench_datasets.toytown.view import Light, View

NEAREST_M = 2.2


def paint_house(
    canvas: Canvas, view: View, light: Light, house: House, facing_sun: float, hidden_m: float
) -> None:
    """Draws the house's end wall (towards the camera), then its street front and its roof edge.

    `facing_sun` is the height in metres up to which the opposite houses shade the street front;
    nearer houses hide the end wall up to `hidden_m`.
    """
    style = draw_style(house)
    haze = light.haze_share((max(house.z0, NEAREST_M) + house.z1) / 2)
    label = BY_NAME["building"].train_id
    if house.z0 > NEAREST_M:
        _roof(canvas, view, light, house, style, haze, label)
    if house.z0 > NEAREST_M and hidden_m < house.height_m:
        _end_wall(canvas, view, light, house, style, haze, label, hidden_m)
    z0 = max(house.z0, NEAREST_M)
    if house.z1 <= z0 + 0.2:
        return
    x = house.side * house.wall_m
    near, far = view.point(x, 0.0, z0), view.point(x, 0.0, house.z1)
    left, right = min(near[0], far[0]), max(near[0], far[0])
    top = min(view.point(x, house.height_m, z0)[1], view.point(x, house.height_m, house.z1)[1])
    layer = Layer(left, top, right, max(near[1], far[1]), style.wall)
    if layer.empty or right < 0.0 or left > WIDTH:
        return
    columns = XS[layer.x0 : layer.x1]
    offset = (columns - view.cx) * house.side
    z = clip(view.focal * house.wall_m / np.maximum(offset, 1e-3), z0, house.z1)
    along = np.maximum(z * z * (1.0 / (view.focal * house.wall_m)), 1e-4)
    scale = z * (1.0 / view.focal)
    height = view.height_m - (YS[layer.y0 : layer.y1] - view.cy) * scale
    ends = clip(columns - left + 0.5, 0.0, 1.0) * clip(right - columns + 0.5, 0.0, 1.0)
    layer.alpha[:] = band(height, 0.0, house.height_m, scale) * ends
    sunny = clip((height - facing_sun) * 1.5 + 0.5, 0.0, 1.0)
    lit = light.on(-house.side, 0.0, 0.0, 1.0)
    dark = light.on(-house.side, 0.0, 0.0, 0.0)
    shine = planes(dark) + (planes(lit) - planes(dark)) * sunny
    fill_facade(layer, style, light, z - house.z0, along, height, scale, house.height_m, shine)
    canvas.paste(layer, light.horizon, haze, label)


def _end_wall(
    canvas: Canvas, view: View, light: Light, house: House, style: Style, haze: float, label: int,
    hidden_m: float,
) -> None:  # fmt: skip
    """The wall across Z = z0, from the street front outwards; few or no windows."""
    inner, outer = house.side * house.wall_m, house.side * (house.wall_m + 10.0)
    a, b = view.point(inner, 0.0, house.z0), view.point(outer, house.height_m, house.z0)
    left, right = min(a[0], b[0]), max(a[0], b[0])
    if right < 0.0 or left > WIDTH:
        return
    foot = view.point(inner, hidden_m, house.z0)[1]
    layer = Layer(left, b[1], right, foot, style.wall)
    if layer.empty:
        return
    scale = house.z0 / view.focal
    columns = XS[layer.x0 : layer.x1]
    u = (columns - a[0]) * (house.side * scale)
    height = view.height_m - (YS[layer.y0 : layer.y1] - view.cy) * scale
    ends = clip(columns - left + 0.5, 0.0, 1.0) * clip(right - columns + 0.5, 0.0, 1.0)
    layer.alpha[:] = band(height, 0.0, house.height_m, scale) * ends
    shine = planes(light.on(0.0, 0.0, -1.0))
    blur = np.array([scale], np.float32)
    fill_facade(layer, style, light, u, blur, height, blur, house.height_m, shine)
    canvas.paste(layer, light.horizon, haze, label)


def _roof(
    canvas: Canvas, view: View, light: Light, house: House, style: Style, haze: float, label: int
) -> None:
    """A pitched roof with a gable towards the camera, for brick and plaster; chimneys."""
    if style.name not in ("brick", "plaster"):
        return
    draws = style.draws
    tile = mixed(srgb(92, 62, 52), srgb(70, 70, 76), draws.unit())
    rise = draws.between(1.6, 3.2)
    x, h = house.side * house.wall_m, house.height_m
    ridge = house.side * (house.wall_m + 5.0)
    back = house.side * (house.wall_m + 10.0)
    near = [view.point(x, h, house.z0), view.point(ridge, h + rise, house.z0),
            view.point(back, h, house.z0)]  # fmt: skip
    far = [view.point(x, h, house.z1), view.point(ridge, h + rise, house.z1)]
    every = near + far
    layer = Layer(min(p[0] for p in every), min(p[1] for p in every) - 12.0,
                  max(p[0] for p in every), max(p[1] for p in every), style.wall)  # fmt: skip
    slope = times(tile, light.on(-house.side * 0.5, 0.85, 0.0))
    layer.polygon([near[0], near[1], far[1], far[0]], slope)
    layer.polygon(near, times(style.wall, light.on(0.0, 0.0, -1.0)))
    if draws.chance(0.6):
        z = house.z0 + draws.between(0.6, 2.0)
        foot = view.point(ridge, h + rise - 0.6, z)
        head = view.point(ridge, h + rise + 1.2, z)
        w = 0.45 * view.focal / z
        layer.polygon(
            [(foot[0] - w, foot[1]), (foot[0] + w, foot[1]), (foot[0] + w, head[1]),
             (foot[0] - w, head[1])],
            times(srgb(120, 84, 68), light.on(0.0, 0.0, -1.0)),
        )  # fmt: skip
    canvas.paste(layer, light.horizon, haze, label)


def paint_block(canvas: Canvas, view: View, light: Light, item: Item) -> None:
    """A distant building that faces the camera."""
    draws = Draws("block", item.seed)
    style = draw_style(House(1, 0.0, 0.0, 0.0, 0.0, draws.pick(["brick", "plaster", "office"]),
                             item.seed))  # fmt: skip
    wide, height = draws.between(8.0, 24.0), draws.between(6.0, 22.0)
    a, b = view.point(item.x, 0.0, item.z), view.point(item.x + wide, height, item.z)
    layer = Layer(a[0], b[1], b[0], a[1], style.wall)
    if layer.empty or a[0] > WIDTH or b[0] < 0.0 or b[1] > HEIGHT:
        return
    cover = polygon_coverage([a, (b[0], a[1]), b, (a[0], b[1])], XS[layer.x0 : layer.x1],
                             YS[layer.y0 : layer.y1])  # fmt: skip
    if cover is None:
        return
    layer.alpha[:] = cover
    scale = item.z / view.focal
    u = (XS[layer.x0 : layer.x1] - a[0]) * scale
    v = view.height_m - (YS[layer.y0 : layer.y1] - view.cy) * scale
    blur = np.array([scale], np.float32)
    fill_facade(layer, style, light, u, blur, v, blur, height, planes(light.on(0.0, 0.0, -1.0)))
    canvas.paste(layer, light.horizon, light.haze_share(item.z), BY_NAME["building"].train_id)
