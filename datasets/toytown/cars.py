"""Cars and vans: a faceted shell, a cabin and its glass."""

from __future__ import annotations

from workbench_datasets.toytown.bodies import GLASS, TRIM, Body
from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.layers import Layer
from workbench_datasets.toytown.raster import Colour, mixed, scaled
from workbench_datasets.toytown.solids import Frame, Solid, hull


def paint_car(
    layer: Layer, frame: Frame, body: Body, colour: Colour, van: bool, draws: Draws
) -> None:
    n, w = body.length / 2, body.width / 2
    low, belt, nose = 0.24, body.belt, body.bonnet
    profile = [(n, low), (n, nose - 0.14), (n - 0.14, nose), (body.screen, belt),
               (-n + 0.04, belt), (-n, belt - 0.3), (-n, low)]  # fmt: skip
    shell = [(a, y, s * w) for a, y in profile for s in (-1.0, 1.0)]
    layer.polygon(
        hull([frame.project(p) for p in shell]), scaled(frame.paint(colour, (0, 0, 1)), 0.6)
    )
    top = w * 0.78
    wb = w * 0.95
    cabin = [(body.screen, belt, s * wb) for s in (-1, 1)] + [
        (body.tail, belt, s * wb) for s in (-1, 1)
    ]
    cabin += [(body.roof_front, body.height - 0.03, s * top) for s in (-1, 1)]
    cabin += [(body.roof_rear, body.height - 0.03, s * top) for s in (-1, 1)]
    layer.polygon(
        hull([frame.project(p) for p in cabin]), scaled(frame.paint(colour, (0, 0.3, 1)), 0.8)
    )

    for side in (-1.0, 1.0):
        outline = [(a, y, side * w) for a, y in profile]
        if not frame.face(layer, outline, (0, 0.12, side), colour, gloss=0.10, fade=0.55):
            continue
        if frame.scale < 12.0:
            continue
        crease = [(n - 0.1, belt * 0.74, side * w), (-n + 0.1, belt * 0.8, side * w),
                  (-n + 0.1, belt * 0.76, side * w), (n - 0.1, belt * 0.7, side * w)]  # fmt: skip
        frame.face(layer, crease, (0, 0.6, side), colour, gloss=0.22)
        skirt = [(n - 0.1, low + 0.1, side * w), (-n + 0.1, low + 0.1, side * w),
                 (-n + 0.1, low, side * w), (n - 0.1, low, side * w)]  # fmt: skip
        frame.face(layer, skirt, (0, -0.3, side), TRIM)
        for at in (body.screen - 0.35, (body.screen + body.tail) / 2 - 0.1):
            seam = [(at, belt, side * w), (at + 0.02, belt, side * w), (at + 0.02, 0.3, side * w),
                    (at, 0.3, side * w)]  # fmt: skip
            frame.face(layer, seam, (0, 0, side), scaled(colour, 0.3))
        _side_glass(layer, frame, body, colour, side, wb, top, van)
    # The bonnet and the boot lid mirror the sky; the ends are steep and darker below.
    frame.face(layer, [(n - 0.12, nose, -w), (n - 0.12, nose, w), (body.screen, belt, wb),
                       (body.screen, belt, -wb)], (0.25, 0.97, 0), colour, gloss=0.22)  # fmt: skip
    frame.face(
        layer,
        [(body.tail, belt, -wb), (body.tail, belt, wb), (-n, belt, w), (-n, belt, -w)],
        (0, 1, 0),
        colour,
        gloss=0.22,
    )
    frame.face(layer, [(n, nose - 0.14, -w), (n, nose - 0.14, w), (n - 0.14, nose, w),
                       (n - 0.14, nose, -w)], (0.7, 0.7, 0), colour, gloss=0.15)  # fmt: skip
    for end in (1.0, -1.0):
        high = nose - 0.14 if end > 0 else belt
        face = [(end * n, high, -w), (end * n, high, w), (end * n, low, w), (end * n, low, -w)]
        frame.face(layer, face, (end, 0.1, 0), colour, gloss=0.08, fade=0.6)
        bar = [(end * n, 0.42, -w), (end * n, 0.42, w), (end * n, low, w), (end * n, low, -w)]
        frame.face(layer, bar, (end, -0.2, 0), mixed(TRIM, colour, 0.25))
    screen = [
        (body.screen, belt, wb),
        (body.screen, belt, -wb),
        (body.roof_front, body.height, -top),
        (body.roof_front, body.height, top),
    ]
    back = [(body.tail, belt, wb), (body.tail, belt, -wb), (body.roof_rear, body.height, -top),
            (body.roof_rear, body.height, top)]  # fmt: skip
    frame.face(layer, [(body.roof_front, body.height, -top), (body.roof_front, body.height, top),
                       (body.roof_rear, body.height, top), (body.roof_rear, body.height, -top)],
               (0, 1, 0), colour, gloss=0.2)  # fmt: skip
    for pane, normal in ((screen, (0.8, 0.6, 0.0)), (back, (-0.85, 0.5, 0.0))):
        if frame.face(layer, pane, normal, colour, gloss=0.1):
            if van and normal[0] < 0 and draws.chance(0.6):
                continue
            frame.face(layer, inset(pane, 0.09), normal, GLASS, gloss=0.26, fade=0.55)


def inset(corners: list[Solid], share: float) -> list[Solid]:
    """The polygon drawn in towards its middle."""
    n = len(corners)
    middle = [sum(c[k] for c in corners) / n for k in range(3)]
    return [
        (c[0] + (middle[0] - c[0]) * share, c[1] + (middle[1] - c[1]) * share,
         c[2] + (middle[2] - c[2]) * share)
        for c in corners
    ]  # fmt: skip


def _side_glass(
    layer: Layer, frame: Frame, body: Body, colour: Colour, side: float, wb: float, top: float,
    van: bool,
) -> None:  # fmt: skip
    belt, high = body.belt, body.height

    def at(length: float, rise: float) -> Solid:
        return length, belt + (high - belt) * rise, side * (wb + (top - wb) * rise)

    pillar = [at(body.screen, 0.0), at(body.tail, 0.0), at(body.roof_rear, 1.0),
              at(body.roof_front, 1.0)]  # fmt: skip
    frame.face(layer, pillar, (0, 0.3, side), colour, gloss=0.08)

    def edge(rise: float, front: bool) -> float:
        a, b = (body.screen, body.roof_front) if front else (body.tail, body.roof_rear)
        return a + (b - a) * rise

    middle = (body.screen + body.tail) / 2 - 0.1
    for first, last in ((1.0, 0.52), (0.46, 0.06)):
        if van and first < 0.5:
            continue
        pane = []
        for rise, share in ((0.06, first), (0.06, last), (0.84, last), (0.84, first)):
            rear, front = edge(rise, False), edge(rise, True)
            length = rear + (front - rear) * share - (0.14 if share == 1.0 else 0.0)
            pane.append(
                at(length if share not in (0.52, 0.46) else middle + (share - 0.49) * 2, rise)
            )
        frame.face(layer, pane, (0, 0.3, side), GLASS, gloss=0.2, fade=0.6)
    mirror = [
        (body.screen - 0.3, belt, side * (wb + 0.16)),
        (body.screen - 0.3, belt + 0.13, side * (wb + 0.16)),
        (body.screen - 0.3, belt + 0.13, side * wb),
        (body.screen - 0.3, belt, side * wb),
    ]
    for normal in ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)):
        frame.face(layer, mirror, normal, scaled(colour, 0.7))
