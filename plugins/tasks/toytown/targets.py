"""What the toytown network learns: maps at a quarter of the picture's size, from ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 4
LONGEST_SIDE_FACTOR = 6.0
"""A box of side s has a Gaussian of sigma s / 6: its edges lie at three sigma."""


def splat(heat: NDArray[Any], x: float, y: float, sigma_x: float, sigma_y: float) -> Any:
    """Draws a Gaussian bump of height 1 around the cell of (x, y), keeping what is higher.

    `heat` is float32 [H/4, W/4]; x, y and the sigmas are in cells. Returns the window and bump.
    """
    column, row = int(x), int(y)
    reach_x, reach_y = int(3 * sigma_x) + 1, int(3 * sigma_y) + 1
    rows = slice(max(row - reach_y, 0), min(row + reach_y + 1, heat.shape[0]))
    columns = slice(max(column - reach_x, 0), min(column + reach_x + 1, heat.shape[1]))
    dy = (np.arange(rows.start, rows.stop)[:, None] - row) / sigma_y
    dx = (np.arange(columns.start, columns.stop) - column) / sigma_x
    bump = np.exp(-0.5 * (dx * dx + dy * dy)).astype(np.float32)
    np.maximum(heat[rows, columns], bump, out=heat[rows, columns])
    return rows, columns, bump


def targets(
    instances: NDArray[Any], boxes: NDArray[Any], classes: NDArray[Any], thing_classes: int
) -> dict[str, NDArray[Any]]:
    """Training targets of one picture.

    Args:
        instances: [H, W], 0 or 1 + the index into `boxes`.
        boxes: float [n, 4], x, y, width, height in pixels.
        classes: int [n], 0..thing_classes - 1.

    Returns float32 maps: heat [C, h, w], centre [1, h, w], offset [2, h, w] (x, y to the mass
    centre, in cells), offset_mask [h, w], sides [4, h, w] (pixels to left, top, right, bottom)
    and sides_mask [h, w], a weight: that of the cells of one box sums to 1, or to less where
    smaller boxes lie in front.
    """
    h, w = instances.shape[0] // STRIDE, instances.shape[1] // STRIDE
    heat = np.zeros((thing_classes, h, w), np.float32)
    centre = np.zeros((1, h, w), np.float32)
    offset = np.zeros((2, h, w), np.float32)
    sides = np.zeros((4, h, w), np.float32)
    sides_mask = np.zeros((h, w), np.float32)
    small = instances[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    middles = (np.arange(max(h, w)) + 0.5) * STRIDE
    # Large boxes first, so that small ones in front keep their cells.
    for k in np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable"):
        x, y, bw, bh = (float(value) for value in boxes[k])
        sigma_x = max(bw / STRIDE / LONGEST_SIDE_FACTOR, 0.6)
        sigma_y = max(bh / STRIDE / LONGEST_SIDE_FACTOR, 0.6)
        place = splat(
            heat[classes[k]], (x + bw / 2) / STRIDE, (y + bh / 2) / STRIDE, sigma_x, sigma_y
        )
        rows, columns, bump = place
        mx, my = middles[columns], middles[rows][:, None]
        inside = (bump > 0.3) & (mx > x) & (mx < x + bw) & (my > y) & (my < y + bh)
        sides_mask[rows, columns][inside] = bump[inside] / bump[inside].sum()
        distances = (mx - x + 0 * my, my - y + 0 * mx, x + bw - mx + 0 * my, y + bh - my + 0 * mx)
        for side, distance in enumerate(distances):
            sides[side, rows, columns][inside] = distance[inside]

        x0, y0 = int(x), int(y)
        mask = instances[y0 : y0 + int(bh), x0 : x0 + int(bw)] == k + 1
        ys, xs = np.nonzero(mask)
        cx, cy = (x0 + xs.mean() + 0.5) / STRIDE, (y0 + ys.mean() + 0.5) / STRIDE
        sigma = float(np.clip(np.sqrt(len(xs)) / STRIDE / LONGEST_SIDE_FACTOR, 0.7, 2.5))
        splat(centre[0], cx, cy, sigma, sigma)
        own_rows, own_columns = np.nonzero(small == k + 1)
        offset[0, own_rows, own_columns] = cx - (own_columns + 0.5)
        offset[1, own_rows, own_columns] = cy - (own_rows + 0.5)
    return {
        "heat": heat,
        "centre": centre,
        "offset": offset,
        "offset_mask": (small > 0).astype(np.float32),
        "sides": sides,
        "sides_mask": sides_mask,
    }
