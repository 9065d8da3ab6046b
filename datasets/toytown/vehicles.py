"""Vehicles on patches of their own: body, wheels, lamps and number plates."""

from __future__ import annotations

from workbench_datasets.toytown.bodies import (
    HUB,
    PAINTS,
    PALE,
    PLATE,
    RED,
    TRIM,
    TYRE,
    Body,
    draw_body,
)
from workbench_datasets.toytown.cars import paint_car
from workbench_datasets.toytown.coaches import paint_bus, paint_truck
from workbench_datasets.toytown.draws import Draws, cloud, sample
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import XS, YS, scaled, times
from workbench_datasets.toytown.solids import Frame, box_corners, hull
from workbench_datasets.toytown.view import Light, View


def vehicle_layer(view: View, light: Light, item: Item, lit: float) -> Layer:
    """The vehicle on its own patch; the caller pastes it."""
    frame = Frame(view, light, item, lit)
    body = draw_body(item)
    draws = Draws("paint", item.seed)
    colour = scaled(draws.pick(PAINTS), draws.between(0.85, 1.15))
    corners = box_corners(body.length, body.width + 0.1, 0.0, body.height)
    layer = frame.layer(corners, scaled(frame.paint(colour, (0, 0, 1)), 0.5), 2.0)
    if layer.empty:
        return layer
    _underneath(layer, frame, body)
    if item.kind in ("car", "van"):
        paint_car(layer, frame, body, colour, item.kind == "van", draws)
    else:
        (paint_bus if item.kind == "bus" else paint_truck)(layer, frame, body, draws)
    _wheels(layer, frame, body, item.kind)
    if frame.scale > 6.0:
        _lamps(layer, frame, body, draws, item.kind)
    dirt = sample(cloud("blotch", 8, 5), XS[layer.x0 : layer.x1] * (60.0 / frame.scale),
                  YS[layer.y0 : layer.y1] * (60.0 / frame.scale))  # fmt: skip
    layer.rgb *= 1.0 + 0.08 * dirt
    return layer


def _underneath(layer: Layer, frame: Frame, body: Body) -> None:
    dark = scaled(times(TYRE, frame.light.ambient), 0.35)
    layer.polygon(
        hull(
            [frame.project(p) for p in box_corners(body.length - 0.3, body.width - 0.2, 0.1, 0.5)]
        ),
        dark,
    )
    if frame.scale < 14.0:
        return
    for end in (-1.0, 1.0):
        for side in (-1.0, 1.0):
            length = end * body.length * 0.31
            inner, outer = side * (body.width / 2 - 0.24), side * (body.width / 2 - 0.02)
            wheel = [(length + a * 0.3, y, w) for a in (-1.0, 1.0) for y in (0.0, 0.55)
                     for w in (inner, outer)]  # fmt: skip
            layer.polygon(hull([frame.project(p) for p in wheel]), dark)


def _wheels(layer: Layer, frame: Frame, body: Body, kind: str) -> None:
    radius = 0.5 if kind in ("truck", "bus") else 0.33
    spots = (0.31, -0.31) if kind != "bus" else (0.27, -0.24)
    for side in (-1.0, 1.0):
        w = side * body.width / 2
        if not frame.seen((0, 0, side), (0, 0, w)):
            continue
        power = frame.power((0, 0, side))
        rings = [
            (r, times(colour, power))
            for r, colour in (
                (1.16, scaled(TYRE, 0.4)),
                (1.0, TYRE),
                (0.66, scaled(TYRE, 0.5)),
                (0.6, HUB),
                (0.2, TRIM),
            )
            if r * radius * frame.scale > 0.8
        ]
        for spot in spots:
            at = spot * body.length
            layer.discs(
                frame.project((at, radius, w)), frame.project((at + radius, radius, w)),
                frame.project((at, 2 * radius, w)), rings,
            )  # fmt: skip


def _lamps(layer: Layer, frame: Frame, body: Body, draws: Draws, kind: str) -> None:
    """Head and tail lamps, plates and grille; lit lamps are brighter than white and will bloom."""
    n, w = body.length / 2 + 0.01, body.width / 2
    big = kind in ("truck", "bus")
    y = 0.75 if big else body.bonnet - 0.24
    on = frame.light.lamps
    front, rear = (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)
    if frame.seen(front, (n, y, 0.0)):
        grille = [(n, y + 0.05, -w * 0.5), (n, y + 0.05, w * 0.5), (n, y - 0.16, w * 0.45),
                  (n, y - 0.16, -w * 0.45)]  # fmt: skip
        frame.face(layer, grille, front, TRIM)
    for end, normal, size in ((n, front, 0.19), (-n, rear, 0.14)):
        if not frame.seen(normal, (end, y, 0.0)):
            continue
        high = y + 0.05 if normal is front or big else body.belt - 0.1
        for side in (-1.0, 1.0):
            a, b = side * (w - 0.04), side * (w - 0.04 - size * 1.7)
            lamp = [(end, high + size / 2, a), (end, high + size / 2, b), (end, high - size / 2, b),
                    (end, high - size / 2, a)]  # fmt: skip
            points = [frame.project(p) for p in lamp]
            if normal is front:
                shine = times(PALE, frame.power(normal))
                glow = scaled((3.2, 3.0, 2.6), on)
            else:
                shine = times(RED, frame.power(normal))
                glow = scaled((1.6, 0.12, 0.10), max(on, 0.9 * float(draws.chance(0.15))))
            layer.polygon(points, (shine[0] + glow[0], shine[1] + glow[1], shine[2] + glow[2]))
        low = 0.5 if normal is front or not big else 0.7
        plate = [(end, low + 0.06, -0.26), (end, low + 0.06, 0.26), (end, low - 0.06, 0.26),
                 (end, low - 0.06, -0.26)]  # fmt: skip
        frame.face(layer, plate, normal, PLATE)
