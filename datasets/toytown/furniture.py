"""Signs, lamp posts, traffic lights, bins and bollards."""

from __future__ import annotations

from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.figure import Figure
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import Colour, Point, scaled, srgb, times
from workbench_datasets.toytown.view import Light, View

STEEL, DARK, WHITE = srgb(120, 122, 124), srgb(38, 40, 42), srgb(226, 226, 222)
RED, BLUE, YELLOW, GREEN = (
    srgb(176, 24, 28),
    srgb(28, 72, 150),
    srgb(222, 176, 30),
    srgb(24, 104, 66),
)
OCTAGON = [(0.41, 1.0), (1.0, 0.41), (1.0, -0.41), (0.41, -1.0), (-0.41, -1.0), (-1.0, -0.41),
           (-1.0, 0.41), (-0.41, 1.0)]  # fmt: skip
CIRCLE = [
    (0.26, 0.966),
    (0.707, 0.707),
    (0.966, 0.26),
    (0.966, -0.26),
    (0.707, -0.707),
    (0.26, -0.966),
    (-0.26, -0.966),
    (-0.707, -0.707),
    (-0.966, -0.26),
    (-0.966, 0.26),
    (-0.707, 0.707),
    (-0.26, 0.966),
]
TRIANGLE = [(0.0, 1.0), (0.95, -0.65), (-0.95, -0.65)]
DIAMOND = [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)]
SQUARE = [(-0.85, 0.95), (0.85, 0.95), (0.85, -0.95), (-0.85, -0.95)]
BOARD = [(-1.5, 0.6), (1.5, 0.6), (1.5, -0.6), (-1.5, -0.6)]


def sign_layers(view: View, light: Light, item: Item, lit: float) -> tuple[Layer, Layer]:
    """(post, board): only the board is a sign, the post is street furniture."""
    draws = Draws("sign", item.seed)
    size = draws.between(0.28, 0.4)
    height = draws.between(2.1, 2.8)
    kind = draws.pick(["stop", "ban", "ban", "order", "warn", "warn", "diamond", "square", "board"])
    wide = size * (1.6 if kind == "board" else 1.05)
    post = Figure(view, light, item, lit, 0.15, height + size)
    post.limb(0.0, 0.0, 0.0, height + size * 0.9, 0.04, 0.04, STEEL)
    board = Figure(view, light, item, lit, wide + 0.05, height + size + 0.1)
    layer = board.layer
    board.layer = Layer(layer.x0 + 1, layer.y0 + 1, layer.x1 - 2,
                        board.foot[1] - (height - size) * board.scale, WHITE)  # fmt: skip
    if draws.chance(0.12):
        _plate(board, BOARD if kind == "board" else CIRCLE, height, size, scaled(STEEL, 0.8))
        return post.layer, board.layer
    shapes: dict[str, list[tuple[list[Point], float, Colour]]] = {
        "stop": [(OCTAGON, 1.0, WHITE), (OCTAGON, 0.92, RED)],
        "ban": [(CIRCLE, 1.0, RED), (CIRCLE, 0.76, WHITE)],
        "order": [(CIRCLE, 1.0, WHITE), (CIRCLE, 0.93, BLUE)],
        "warn": [(TRIANGLE, 1.05, RED), (TRIANGLE, 0.68, WHITE)],
        "diamond": [(DIAMOND, 1.0, WHITE), (DIAMOND, 0.9, YELLOW)],
        "square": [(SQUARE, 1.0, WHITE), (SQUARE, 0.92, BLUE)],
        "board": [(BOARD, 1.0, WHITE), (BOARD, 0.94, draws.pick([GREEN, BLUE, WHITE]))],
    }
    for outline, grow, colour in shapes[kind]:
        _plate(board, outline, height, size * grow, colour)
    ink = DARK if kind in ("ban", "warn", "diamond") else WHITE
    for _ in range(2 if kind != "board" else 4):
        x, y = draws.between(-0.3, 0.3) * size, height + draws.between(-0.35, 0.25) * size
        w, h = draws.between(0.08, 0.3) * size, draws.between(0.06, 0.2) * size
        board.area([(x - w, y + h), (x + w, y + h), (x + w, y - h), (x - w, y - h)], ink, 1.0)
    return post.layer, board.layer


def _plate(
    figure: Figure, outline: list[Point], height: float, size: float, colour: Colour
) -> None:
    figure.area([(x * size, height + y * size) for x, y in outline], colour, 0.92)


def furniture_layer(view: View, light: Light, item: Item, lit: float) -> Layer:
    draws = Draws(item.kind, item.seed)
    side = 1.0 if item.x > 0 else -1.0
    if item.kind == "lamp":
        tall = draws.between(5.5, 8.0)
        figure = Figure(view, light, item, lit, 2.3, tall + 0.4)
        figure.limb(0.0, 0.0, 0.0, 1.2, 0.09, 0.09, DARK)
        figure.limb(0.0, 1.0, 0.0, tall, 0.065, 0.045, DARK)
        figure.limb(0.0, tall, -side * 1.5, tall + 0.15, 0.04, 0.035, DARK)
        figure.limb(-side * 1.4, tall + 0.12, -side * 1.95, tall + 0.12, 0.08, 0.07, STEEL)
        if light.lamps > 0.0:
            x, y = figure.at(-side * 1.7, tall + 0.05)
            figure.layer.ellipse(x, y, max(0.26 * figure.scale, 0.8), max(0.09 * figure.scale, 0.7),
                                 scaled((5.0, 3.6, 1.9), light.lamps))  # fmt: skip
        return figure.layer
    if item.kind == "signal":
        figure = Figure(view, light, item, lit, 0.35, 3.6)
        figure.limb(0.0, 0.0, 0.0, 3.3, 0.06, 0.06, DARK)
        figure.area(
            [(-0.17, 3.45), (0.17, 3.45), (0.17, 2.45), (-0.17, 2.45)], scaled(DARK, 0.5), 1.0
        )
        on = draws.whole(0, 2)
        for k, colour in enumerate(((1.8, 0.1, 0.06), (1.7, 0.9, 0.1), (0.1, 1.5, 0.6))):
            x, y = figure.at(0.0, 3.28 - 0.32 * k)
            paint = colour if k == on else times(scaled(colour, 0.05), figure.power)
            figure.layer.ellipse(x, y, 0.11 * figure.scale, 0.11 * figure.scale, paint)
        return figure.layer
    figure = Figure(view, light, item, lit, 0.5, 1.5)
    if item.kind == "bollard":
        figure.limb(0.0, 0.0, 0.0, 0.95, 0.075, 0.07, draws.pick([DARK, STEEL]))
        figure.limb(0.0, 0.8, 0.0, 0.84, 0.085, 0.085, draws.pick([WHITE, RED]))
    elif item.kind == "bin":
        colour = draws.pick([DARK, GREEN, scaled(STEEL, 0.6)])
        figure.area([(-0.28, 1.0), (0.28, 1.0), (0.24, 0.0), (-0.24, 0.0)], colour, 0.7)
        figure.area([(-0.31, 1.1), (0.31, 1.1), (0.31, 0.98), (-0.31, 0.98)], scaled(colour, 1.4))
    else:
        figure.area([(-0.42, 1.2), (0.42, 1.2), (0.42, 0.0), (-0.42, 0.0)], srgb(98, 108, 96), 0.75)
        figure.area([(-0.01, 1.2), (0.01, 1.2), (0.01, 0.05), (-0.01, 0.05)], DARK)
    figure.weave(item.seed)
    return figure.layer
