"""What happens between the street and the file: wet roads, rain, lens, exposure and sensor."""

from __future__ import annotations

import numpy as np

from workbench_datasets.toytown.draws import Array, Draws, cloud, sample
from workbench_datasets.toytown.layers import Canvas
from workbench_datasets.toytown.raster import HEIGHT, WIDTH, XS, YS, clip
from workbench_datasets.toytown.street import Ground
from workbench_datasets.toytown.view import Light, View

STRIP_ROWS = 64
"""Maps of this size stay in the cache from one operation to the next."""


def halve(planes: Array) -> Array:
    """2x2 means of [3, H, W]."""
    rows = planes[:, 0::2] + planes[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) * np.float32(0.25)


def soften(planes: Array, weight: float) -> None:
    """Filters both axes with [weight, 1 - 2 weight, weight], in place; the rim stays as it is."""
    keep, side = np.float32(1.0 - 2.0 * weight), np.float32(weight)
    for plane in planes:
        for a, b, c in (
            (plane[:-2], plane[1:-1], plane[2:]),
            (plane[:, :-2], plane[:, 1:-1], plane[:, 2:]),
        ):
            around = a + c
            around *= side
            b *= keep
            b += around


def wet_road(canvas: Canvas, view: View, light: Light, ground: Ground, still: Array) -> None:
    """Mirrors what stands above the horizon in the wet ground; `still` is where ground is seen."""
    top = ground.top
    count = HEIGHT - top
    ripple = sample(cloud("ripple", 32, 3), ground.x * 20.0, ground.z * 5.0)
    puddle = sample(cloud("blotch", 8, 5), ground.x * 5.0 + 30.0, ground.z * 3.0)
    source = 2 * view.cy - YS[top:] * 1.0 + 3.0 * ripple * clip(30.0 * ground.dx, 0.3, 3.0)
    rows = clip(source, 0, int(view.cy) - 1).astype(np.int32)
    columns = clip(XS + 2.0 * ripple, 0, WIDTH - 1).astype(np.int32)
    # Flat glances mirror more than steep ones (a rational stand-in for Fresnel's equations).
    depth = (YS[top:] - view.cy) * (1.0 / count)
    share = light.wet * clip(0.42 - 0.34 * depth + 0.28 * puddle, 0.02, 0.65)
    share = (share * still).astype(np.float32)
    index = rows * WIDTH + columns
    for plane in range(3):
        mirrored = canvas.rgb[plane].reshape(-1)[index]
        target = canvas.rgb[plane, top:]
        target *= 1.0 - (0.35 * light.wet) * still
        target += (mirrored - target) * share


def bloom(canvas: Canvas) -> None:
    """Light of lamps that spreads around them."""
    small = halve(halve(np.maximum(canvas.rgb - np.float32(1.2), 0.0)))
    if float(small.max()) < 0.01:
        return
    for _ in range(3):
        soften(small, 0.3)
    wide = halve(small)
    for _ in range(4):
        soften(wide, 0.32)
    small += np.repeat(np.repeat(wide, 2, axis=1), 2, axis=2) * np.float32(1.4)
    small *= np.float32(0.5)
    soften(small, 0.3)
    middle = np.repeat(np.repeat(small, 2, axis=1), 2, axis=2)
    soften(middle, 0.3)
    canvas.rgb += np.repeat(np.repeat(middle, 2, axis=1), 2, axis=2)


def rain_streaks(canvas: Canvas, light: Light, draws: Draws) -> None:
    texture = cloud("streak", 64, 2)
    slant = draws.between(-0.35, 0.35)
    u = (XS + YS * slant) * 0.9 + draws.between(0.0, 256.0)
    streak = sample(texture, u, YS * 0.07 + XS * 0.31)
    canvas.rgb += clip(streak - 0.5, 0.0, 1.0) * np.float32(0.11 * light.ambient[1])


def expose(canvas: Canvas, light: Light, draws: Draws) -> Array:
    """Lens and sensor: the picture as uint8 [H, W, 3]."""
    rgb = canvas.rgb
    blur = draws.pick([0.06, 0.09, 0.12, 0.15, 0.2])
    soften(rgb, blur)
    if draws.chance(0.12):
        soften(rgb, 0.25)
        soften(rgb, 0.25)
    gain = {"sun": 0.98, "cloud": 1.0, "dusk": 1.45, "rain": 1.15}[light.kind] * draws.between(
        0.72, 1.2
    )
    dx, dy = (XS - WIDTH / 2) * (1.0 / 256.0), (YS - HEIGHT / 2) * (1.0 / 256.0)
    falloff = 1.0 - draws.between(0.1, 0.24) * (dx * dx + dy * dy)
    balance = [draws.between(0.94, 1.06), 1.0, draws.between(0.94, 1.06)]
    # Four bytes summed are close to a normal variate, and integers are the same everywhere.
    octets = draws.octets(3 * 3 * HEIGHT * WIDTH).reshape(3, 3, HEIGHT, WIDTH)
    coarse = draws.octets(3 * HEIGHT * WIDTH // 16).reshape(3, HEIGHT // 4, WIDTH // 4)
    grain = (coarse.astype(np.float32) - 127.5) * np.float32(light.noise * 0.25 / 74.0)
    lift = draws.between(0.0, 0.012)
    out = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for plane in range(3):
        gains = falloff * np.float32(gain * balance[plane])
        # In strips, which stay in the processor's cache from the first operation to the last.
        for first in range(0, HEIGHT, STRIP_ROWS):
            rows = slice(first, first + STRIP_ROWS)
            value = rgb[plane, rows] * gains[rows]
            value += np.float32(lift)
            # Filmic shoulder: 4 is the radiance that just turns white.
            bent = value * np.float32(1 / 16)
            bent += 1.0
            bent *= value
            value *= np.float32(0.5)
            value += 0.82
            np.divide(bent, value, out=value)
            np.maximum(value, 0.0, out=value)
            np.sqrt(value, out=value)
            # A mild S-curve, as cameras apply: steeper in the middle, soft at both ends.
            np.multiply(value, 0.9, out=bent)
            np.subtract(1.35, bent, out=bent)
            bent *= value
            bent += 0.55
            value *= bent
            noise = octets[0, plane, rows].astype(np.int16)
            noise += octets[1, plane, rows]
            noise += octets[2, plane, rows]
            noise -= 382
            np.multiply(noise, np.float32(light.noise / 128.0), out=bent)
            value += bent
            blotches = grain[plane, first // 4 : (first + STRIP_ROWS) // 4]
            value += np.repeat(np.repeat(blotches, 4, axis=0), 4, axis=1)
            value *= 255.0
            np.maximum(value, 0.0, out=value)
            np.minimum(value, 255.0, out=value)
            np.rint(value, out=value)
            out[rows, :, plane] = value
    return out
