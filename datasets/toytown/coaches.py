"""The boxes among the vehicles: buses and trucks."""

from __future__ import annotations

from workbench_datasets.toytown.bodies import GLASS, TRIM, Body
from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.raster import Colour, mixed, scaled, srgb
from workbench_datasets.toytown.solids import Frame, Solid, box_corners, hull

LIVERIES: list[Colour] = [
    srgb(168, 28, 30),
    srgb(204, 206, 204),
    srgb(34, 84, 140),
    srgb(210, 150, 40),
    srgb(40, 110, 80),
    srgb(226, 224, 214),
]
CARGO: list[Colour] = [
    srgb(220, 220, 216),
    srgb(206, 206, 204),
    srgb(170, 176, 180),
    srgb(44, 74, 120),
    srgb(178, 120, 36),
    srgb(60, 88, 64),
    srgb(140, 30, 34),
]


def quad(l0: float, l1: float, y0: float, y1: float, w: float) -> list[Solid]:
    """A rectangle in a side wall."""
    return [(l0, y1, w), (l1, y1, w), (l1, y0, w), (l0, y0, w)]


def panel(length: float, y0: float, y1: float, w0: float, w1: float) -> list[Solid]:
    """A rectangle in an end wall."""
    return [(length, y1, w0), (length, y1, w1), (length, y0, w1), (length, y0, w0)]


def _box(
    layer: Layer,
    frame: Frame,
    l0: float,
    l1: float,
    y0: float,
    y1: float,
    w: float,
    colour: Colour,
    gloss: float,
) -> None:
    """A closed box from l0 to l1: its silhouette first, then the faces that are seen."""
    middle = (l0 + l1) / 2
    corners = [(middle + c[0], c[1], c[2]) for c in box_corners(l1 - l0, 2 * w, y0, y1)]
    layer.polygon(
        hull([frame.project(c) for c in corners]), scaled(frame.paint(colour, (0, 0, 1)), 0.6)
    )
    frame.face(layer, [(l0, y1, -w), (l1, y1, -w), (l1, y1, w), (l0, y1, w)], (0, 1, 0), colour)
    for side in (-1.0, 1.0):
        frame.face(
            layer, quad(l0, l1, y0, y1, side * w), (0, 0.05, side), colour, gloss=gloss, fade=0.8
        )
    for end, normal in ((l0, -1.0), (l1, 1.0)):
        frame.face(
            layer, panel(end, y0, y1, -w, w), (normal, 0.05, 0), colour, gloss=gloss, fade=0.8
        )


def paint_bus(layer: Layer, frame: Frame, body: Body, draws: Draws) -> None:
    n, w, h = body.length / 2, body.width / 2, body.height
    colour, trim = draws.pick(LIVERIES), draws.pick(LIVERIES)
    _box(layer, frame, -n, n, 0.32, h, w, colour, 0.06)
    for side in (-1.0, 1.0):
        wall = side * w
        frame.face(layer, quad(-n, n, 0.32, 0.75, wall), (0, 0, side), trim, fade=0.7)
        frame.face(
            layer,
            quad(-n + 0.3, n - 0.2, 1.25, h - 0.45, wall),
            (0, 0, side),
            GLASS,
            gloss=0.2,
            fade=0.5,
        )
        count = 6
        for k in range(1, count):
            at = -n + 0.3 + (body.length - 0.5) * k / count
            frame.face(layer, quad(at - 0.05, at + 0.05, 1.25, h - 0.45, wall), (0, 0, side), TRIM)
        for at in (n - 1.4, -0.6):
            frame.face(
                layer, quad(at, at + 1.1, 0.4, h - 0.5, wall), (0, 0, side), GLASS, gloss=0.16
            )
            frame.face(layer, quad(at + 0.52, at + 0.58, 0.4, h - 0.5, wall), (0, 0, side), TRIM)
    for end, normal in ((n, 1.0), (-n, -1.0)):
        base = 1.0 if normal > 0 else 1.5
        frame.face(layer, panel(end, base, h - 0.55, -w + 0.12, w - 0.12), (normal, 0.1, 0), GLASS,
                   gloss=0.22, fade=0.5)  # fmt: skip
        frame.face(layer, panel(end, h - 0.48, h - 0.14, -w + 0.3, w - 0.3), (normal, 0, 0), TRIM)
        if normal > 0 and frame.seen((1, 0, 0), (n, 1.0, 0.0)):
            for k in range(5):
                a = -w + 0.55 + 0.3 * k
                lamp = panel(end, h - 0.42, h - 0.2, a, a + 0.2)
                layer.polygon([frame.project(c) for c in lamp], scaled((1.0, 0.55, 0.08), 0.8))
        frame.face(layer, panel(end, 0.32, 0.6, -w, w), (normal, 0, 0), mixed(TRIM, trim, 0.3))


def paint_truck(layer: Layer, frame: Frame, body: Body, draws: Draws) -> None:
    n, w, h = body.length / 2, body.width / 2, body.height
    cargo, cab = draws.pick(CARGO), draws.pick(LIVERIES)
    split = n - 2.1
    away = frame.seen((-1.0, 0.0, 0.0), (-n, 1.0, 0.0))
    parts = [False, True] if not away else [True, False]
    for is_cab in parts:
        if is_cab:
            _cab(layer, frame, split + 0.1, n, w, min(h - 0.2, 2.75), cab)
            continue
        _box(layer, frame, -n, split, 0.95, h, w, cargo, 0.04)
        chassis = quad(-n + 0.1, split, 0.55, 0.95, w - 0.1)
        frame.face(layer, chassis, (0, 0, 1), TRIM)
        frame.face(layer, quad(-n + 0.1, split, 0.55, 0.95, -w + 0.1), (0, 0, -1), TRIM)
        logo = draws.pick(LIVERIES)
        if draws.chance(0.6):
            low, high = h * draws.between(0.42, 0.5), h * draws.between(0.6, 0.8)
            for side in (-1.0, 1.0):
                frame.face(
                    layer, quad(-n + 1.0, split - 0.8, low, high, side * w), (0, 0, side), logo
                )
        ribs = 7
        for side in (-1.0, 1.0):
            for k in range(1, ribs):
                at = -n + (split + n) * k / ribs
                frame.face(
                    layer, quad(at, at + 0.04, 0.95, h, side * w), (0, 0, side), scaled(cargo, 0.7)
                )
        frame.face(layer, panel(-n, 0.95, h, -0.03, 0.03), (-1, 0, 0), scaled(cargo, 0.35))
        for at in (-w + 0.25, w - 0.3):
            frame.face(
                layer, panel(-n, 1.1, h - 0.1, at, at + 0.05), (-1, 0, 0), scaled(cargo, 0.5)
            )
        frame.face(layer, panel(-n, 0.55, 0.95, -w, w), (-1, 0, 0), TRIM)


def _cab(
    layer: Layer, frame: Frame, l0: float, l1: float, w: float, high: float, colour: Colour
) -> None:
    _box(layer, frame, l0, l1, 0.4, high, w - 0.05, colour, 0.08)
    frame.face(
        layer,
        panel(l1, 1.45, high - 0.3, -w + 0.15, w - 0.15),
        (1, 0.1, 0),
        GLASS,
        gloss=0.24,
        fade=0.5,
    )
    frame.face(layer, panel(l1, 0.4, 0.65, -w + 0.05, w - 0.05), (1, 0, 0), TRIM)
    for side in (-1.0, 1.0):
        frame.face(
            layer,
            quad(l0 + 0.7, l1 - 0.2, 1.5, high - 0.35, side * (w - 0.05)),
            (0, 0, side),
            GLASS,
            gloss=0.2,
            fade=0.6,
        )
