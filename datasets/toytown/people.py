"""People on foot and on bicycles, put together from rounded limbs."""

from __future__ import annotations

from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.figure import Figure
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.layout import Item
from workbench_datasets.toytown.raster import Colour, mixed, scaled, srgb
from workbench_datasets.toytown.view import Light, View

SKIN: list[Colour] = [
    srgb(222, 178, 150),
    srgb(200, 150, 120),
    srgb(160, 112, 82),
    srgb(112, 76, 56),
    srgb(84, 58, 44),
    srgb(232, 192, 168),
]
HAIR: list[Colour] = [srgb(32, 26, 22), srgb(62, 44, 30), srgb(104, 76, 46), srgb(150, 124, 84),
                      srgb(128, 126, 124), srgb(24, 22, 22)]  # fmt: skip
TOPS: list[Colour] = [srgb(34, 36, 42), srgb(40, 44, 58), srgb(52, 54, 56), srgb(150, 28, 34),
                      srgb(188, 184, 176), srgb(58, 78, 116), srgb(96, 88, 68), srgb(44, 62, 50),
                      srgb(206, 168, 60), srgb(122, 74, 92), srgb(90, 60, 44), srgb(26, 28, 30),
                      srgb(100, 120, 134), srgb(214, 212, 208), srgb(196, 92, 44)]  # fmt: skip
LEGS: list[Colour] = [srgb(34, 38, 52), srgb(28, 28, 32), srgb(52, 62, 84), srgb(78, 72, 62),
                      srgb(118, 106, 86), srgb(44, 44, 46), srgb(66, 78, 100)]  # fmt: skip
SHOES: list[Colour] = [srgb(26, 24, 24), srgb(60, 44, 34), srgb(190, 188, 184)]


def person_layer(view: View, light: Light, item: Item, lit: float) -> Layer:
    """A pedestrian on a patch of its own; the caller pastes it."""
    draws = Draws("person", item.seed)
    size = draws.between(0.9, 1.08) if draws.chance(0.9) else draws.between(0.6, 0.8)
    figure = Figure(view, light, item, lit, 0.85 * size, 2.35 * size)
    if figure.layer.empty:
        return figure.layer
    s = size
    skin, hair = draws.pick(SKIN), draws.pick(HAIR)
    top, legs = scaled(draws.pick(TOPS), draws.between(0.7, 1.2)), draws.pick(LEGS)
    shoe = draws.pick(SHOES)
    side_on = item.kind == "person_side"
    facing = draws.pick([-1.0, 1.0])
    stride = draws.between(0.1, 0.34) if side_on else draws.between(0.0, 0.07)
    spread = 0.02 if side_on else 0.085
    skirt = draws.chance(0.16)
    coat = draws.chance(0.35)
    shin = skin if skirt and draws.chance(0.6) else legs
    girth = draws.between(0.9, 1.2)
    lift = draws.between(0.0, 0.14)
    for k, (hip, swing) in enumerate(((-spread, -stride), (spread, stride))):
        up = lift * s if k == 0 else 0.0
        knee = hip + swing * 0.4 + (0.05 * facing if side_on else 0.0)
        end = hip + swing
        shade = 0.82 if k == 0 else 1.0
        figure.limb(
            hip, 0.88 * s, knee, 0.48 * s + up * 0.5, 0.092 * s, 0.068 * s, scaled(legs, shade)
        )
        figure.limb(
            knee, 0.48 * s + up * 0.5, end, 0.08 * s + up, 0.066 * s, 0.045 * s, scaled(shin, shade)
        )
        toe = 0.13 * facing if side_on else 0.02 * (1 if k else -1)
        figure.limb(end, 0.045 * s + up, end + toe, 0.035 * s + up, 0.045 * s, 0.035 * s, shoe)
    w = (0.15 if side_on else 0.205) * s * girth
    arm = 0.22 if side_on else 0.03
    swing = stride * draws.between(0.7, 1.1)
    far_arm = -swing if side_on else -(w + 0.035)
    near_arm = swing if side_on else w + 0.035
    shoulder = 0.02 if side_on else w * 0.95
    figure.limb(
        -shoulder,
        1.36 * s,
        far_arm * (0.6 if side_on else 1.0),
        1.1 * s,
        0.058 * s,
        0.05 * s,
        scaled(top, 0.8),
    )
    figure.limb(
        far_arm * (0.6 if side_on else 1.0),
        1.1 * s,
        far_arm * (1.0 + arm),
        0.84 * s,
        0.05 * s,
        0.038 * s,
        scaled(top, 0.8),
    )
    hem = (0.62 if coat else 0.84) * s
    if skirt:
        figure.area([(-w * 0.8, 0.95 * s), (w * 0.8, 0.95 * s), (w * 1.15, 0.52 * s),
                     (-w * 1.15, 0.52 * s)], legs)  # fmt: skip
    figure.area([(-w * 0.92, 1.4 * s), (w * 0.92, 1.4 * s), (w * 0.95, hem), (-w * 0.95, hem)], top)
    figure.limb(0.0, 1.3 * s, 0.0, 0.98 * s, w, w * 0.9, top)
    figure.limb(-w * 0.5, 1.37 * s, w * 0.5, 1.37 * s, 0.085 * s, 0.085 * s, top)
    figure.limb(
        shoulder, 1.36 * s, near_arm * (0.6 if side_on else 1.0), 1.1 * s, 0.058 * s, 0.05 * s, top
    )
    figure.limb(
        near_arm * (0.6 if side_on else 1.0),
        1.1 * s,
        near_arm * (1.0 + arm),
        0.84 * s,
        0.05 * s,
        0.038 * s,
        top,
    )
    figure.blob(near_arm * (1.0 + arm), 0.79 * s, 0.042 * s, 0.055 * s, skin)
    figure.blob(far_arm * (1.0 + arm), 0.79 * s, 0.04 * s, 0.05 * s, scaled(skin, 0.8))
    _head(figure, draws, s, skin, hair, side_on, facing)
    if draws.chance(0.3):
        bag = draws.pick(TOPS)
        if draws.chance(0.5):
            x, low = near_arm * 1.2 + 0.03, draws.between(0.4, 0.55) * s
            figure.limb(x, 0.8 * s, x, low + 0.2 * s, 0.015, 0.015, bag)
            figure.area([(x - 0.12 * s, low + 0.24 * s), (x + 0.12 * s, low + 0.24 * s),
                         (x + 0.14 * s, low), (x - 0.14 * s, low)], bag)  # fmt: skip
        else:
            figure.area([(-0.13 * s, 1.36 * s), (0.13 * s, 1.36 * s), (0.14 * s, 0.98 * s),
                         (-0.14 * s, 0.98 * s)], bag)  # fmt: skip
    if light.kind == "rain" and draws.chance(0.55):
        _umbrella(figure, draws, s)
    figure.weave(item.seed)
    return figure.layer


def _head(
    figure: Figure, draws: Draws, s: float, skin: Colour, hair: Colour, side_on: bool, facing: float
) -> None:
    back = draws.chance(0.5)
    figure.limb(0.0, 1.48 * s, 0.0, 1.42 * s, 0.055 * s, 0.06 * s, scaled(skin, 0.8))
    long = draws.chance(0.35)
    if long:
        shift = -0.03 * facing if side_on else 0.0
        figure.limb(shift, 1.62 * s, shift * 1.5, 1.44 * s, 0.105 * s, 0.085 * s, hair)
    figure.blob(0.0, 1.61 * s, 0.088 * s, 0.118 * s, hair if back and not side_on else skin)
    if side_on or not back:
        figure.blob(-0.03 * facing if side_on else 0.0, 1.675 * s, 0.092 * s, 0.07 * s, hair)
    if draws.chance(0.18):
        hat = draws.pick(TOPS)
        figure.blob(0.0, 1.69 * s, 0.1 * s, 0.062 * s, hat)


def _umbrella(figure: Figure, draws: Draws, s: float) -> None:
    colour = draws.pick(TOPS)
    figure.limb(0.14, 1.2 * s, 0.1, 1.95 * s, 0.012, 0.012, srgb(60, 60, 60))
    figure.area([(-0.42, 1.82 * s), (-0.3, 2.0 * s), (0.08, 2.13 * s), (0.46, 2.0 * s),
                 (0.6, 1.82 * s)], scaled(colour, 1.2), 0.6)  # fmt: skip


def cyclist_layer(view: View, light: Light, item: Item, lit: float) -> Layer:
    """A rider with the bicycle, from the side when the heading is ±1, else from behind or ahead."""
    draws = Draws("cyclist", item.seed)
    side_on = item.heading is not None and abs(item.heading) > 0.5
    figure = Figure(view, light, item, lit, 1.1 if side_on else 0.55, 1.95)
    if figure.layer.empty:
        return figure.layer
    skin, hair = draws.pick(SKIN), draws.pick(HAIR)
    top, legs, shoe = draws.pick(TOPS), draws.pick(LEGS), draws.pick(SHOES)
    frame = draws.pick(
        [srgb(150, 30, 30), srgb(36, 36, 40), srgb(60, 90, 140), srgb(190, 190, 190)]
    )
    helmet = draws.pick([None, srgb(210, 208, 204), srgb(30, 30, 32), srgb(180, 40, 40)])
    tyre = srgb(28, 28, 30)
    if side_on:
        f = 1.0 if (item.heading or 0.0) > 0 else -1.0
        pedal = draws.between(-0.12, 0.12)
        figure.ring(-0.52 * f, 0.34, 0.33, tyre)
        figure.ring(0.52 * f, 0.34, 0.33, tyre)
        for xa, ya, xb, yb in (
            (-0.52, 0.34, -0.08, 0.3),
            (-0.08, 0.3, -0.2, 0.86),
            (-0.16, 0.78, 0.4, 0.8),
            (-0.08, 0.3, 0.4, 0.74),
            (0.52, 0.34, 0.38, 0.98),
            (-0.52, 0.34, -0.18, 0.76),
        ):
            figure.limb(xa * f, ya, xb * f, yb, 0.022, 0.022, frame)
        for k, dy in ((0, pedal), (1, -pedal)):
            shade = 0.8 if k == 0 else 1.0
            figure.limb(-0.2 * f, 0.95, 0.14 * f, 0.72 + dy * 0.8, 0.1, 0.075, scaled(legs, shade))
            figure.limb(
                0.14 * f, 0.72 + dy * 0.8, -0.04 * f, 0.3 + dy, 0.07, 0.05, scaled(legs, shade)
            )
            figure.limb(-0.06 * f, 0.27 + dy, 0.08 * f, 0.25 + dy, 0.042, 0.035, shoe)
        figure.limb(-0.2 * f, 1.02, 0.1 * f, 1.4, 0.15, 0.155, top)
        figure.limb(0.1 * f, 1.4, 0.26 * f, 1.16, 0.062, 0.052, top)
        figure.limb(0.26 * f, 1.16, 0.42 * f, 1.02, 0.05, 0.04, top)
        figure.limb(0.34 * f, 1.0, 0.46 * f, 1.02, 0.025, 0.025, tyre)
        head = (0.2 * f, 1.63)
    else:
        towards = item.heading is None
        figure.limb(0.0, 0.66, 0.0, 0.03, 0.034, 0.034, tyre)
        figure.limb(0.0, 0.95, 0.0, 0.6, 0.03, 0.03, frame)
        for side, up in ((-1.0, draws.between(0.0, 0.16)), (1.0, 0.08)):
            figure.limb(side * 0.1, 0.92, side * 0.15, 0.58 + up * 0.5, 0.098, 0.07, legs)
            figure.limb(
                side * 0.15, 0.58 + up * 0.5, side * 0.12, 0.2 + up, 0.068, 0.048, scaled(legs, 0.9)
            )
            figure.limb(side * 0.12, 0.17 + up, side * 0.13, 0.14 + up, 0.05, 0.045, shoe)
            figure.limb(side * 0.2, 1.38, side * 0.29, 1.16, 0.06, 0.05, scaled(top, 0.9))
            figure.limb(side * 0.29, 1.16, side * 0.26, 1.0, 0.05, 0.04, scaled(top, 0.9))
        figure.limb(-0.29, 1.0, 0.29, 1.0, 0.02, 0.02, tyre)
        figure.limb(0.0, 1.34, 0.0, 1.0, 0.195, 0.165, top)
        figure.limb(-0.1, 1.4, 0.1, 1.4, 0.085, 0.085, top)
        if not towards and draws.chance(0.4):
            figure.blob(0.0, 0.78, 0.05, 0.035, (0.9, 0.05, 0.04))
        if draws.chance(0.2):
            figure.area([(-0.17, 1.4), (0.17, 1.4), (0.17, 1.1), (-0.17, 1.1)], srgb(214, 216, 40))
        head = (0.0, 1.62)
        if towards:
            hair = skin
    figure.blob(head[0], head[1], 0.09, 0.118, skin if side_on else hair)
    figure.blob(head[0], head[1] + 0.065, 0.1, 0.075, helmet if helmet else hair)
    if draws.chance(0.3) and side_on:
        figure.blob(
            -0.1 * (item.heading or 1.0), 1.28, 0.14, 0.2, mixed(top, srgb(40, 40, 44), 0.6)
        )
    figure.weave(item.seed)
    return figure.layer
