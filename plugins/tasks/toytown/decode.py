"""From the heads' maps to boxes and to panoptic segments. Sources as in `network`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workbench_plugins.tasks.toytown.network import STRIDE, THING_CLASSES

SIDE_UNIT_PX = 8.0
"""The box head gives ln(distance / 8 px), so that its zero is a small box."""
MOST_BOXES = 100
NMS_IOU = 0.7
LEAST_SCORE = 0.02
LEAST_CENTRE = 0.35
MOST_CENTRES = 100
LEAST_SEGMENT_PX = 40


def peaks(heat: Tensor) -> Tensor:
    """`heat` [..., h, w] where it is the highest of its 3x3 neighbours, 0 elsewhere."""
    highest = functional.max_pool2d(heat, 3, stride=1, padding=1)
    return torch.where(heat == highest, heat, torch.zeros_like(heat))


def boxes(heat: Tensor, box: Tensor, width: int, height: int) -> dict[str, Any]:
    """Boxes of one picture, best first, as numpy arrays.

    Args:
        heat: [C, h, w] logits; box: [4, h, w] ln of the distances to the sides.
        width, height: of the picture in pixels; boxes are cut to it.

    Returns `boxes` float32 [n, 4] (x0, y0, x1, y1), `scores` float32 [n], `labels` int64 [n].
    """
    found = peaks(torch.sigmoid(heat.float()))
    columns = found.shape[-1]
    scores, index = found.flatten().topk(min(MOST_BOXES * 2, found.numel()))
    index, scores = index[scores >= LEAST_SCORE], scores[scores >= LEAST_SCORE]
    labels = index // (found.shape[1] * columns)
    cell = index % (found.shape[1] * columns)
    x, y = (cell % columns + 0.5) * STRIDE, (cell // columns + 0.5) * STRIDE
    sides = torch.exp(box.float().clamp(max=5.0)).flatten(1)[:, cell] * SIDE_UNIT_PX
    corners = torch.stack(
        [
            (x - sides[0]).clamp(0, width),
            (y - sides[1]).clamp(0, height),
            (x + sides[2]).clamp(0, width),
            (y + sides[3]).clamp(0, height),
        ],
        dim=1,
    )
    kept = suppress(corners, labels)[:MOST_BOXES]
    return {
        "boxes": corners[kept].numpy(),
        "scores": scores[kept].numpy(),
        "labels": labels[kept].numpy(),
    }


def suppress(corners: Tensor, labels: Tensor) -> list[int]:
    """Greedy non-maximum suppression within each class; boxes come best first."""
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    low = torch.maximum(corners[:, None, :2], corners[None, :, :2])
    high = torch.minimum(corners[:, None, 2:], corners[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    iou = shared / (area[:, None] + area[None] - shared).clamp(min=1e-6)
    clash = ((iou > NMS_IOU) & (labels[:, None] == labels[None])).numpy()
    kept: list[int] = []
    for k in range(len(corners)):
        if area[k] > 0 and not any(clash[k, j] for j in kept):
            kept.append(k)
    return kept


def panoptic(
    semantic: Tensor, centre: Tensor, offset: Tensor, width: int, height: int
) -> dict[str, Any]:
    """Panoptic-DeepLab's grouping (Sec. 3.2, arXiv 1911.10194) of one picture.

    Every thing pixel joins the nearest centre to where its offset points; a segment's class is
    the one that most of its pixels have.

    Args:
        semantic: [11, h, w] logits; centre: [1, h, w] logits; offset: [2, h, w] in cells.
        width, height: of the picture in pixels; what was padded is cut off.

    Returns `semantic` uint8 [H, W] class ids, `ids` int32 [H, W] (0 nothing) and `segments`, a
    list of `{"id", "label", "score"}`.
    """
    size = [side * STRIDE for side in semantic.shape[-2:]]
    logits = functional.interpolate(semantic.float()[None], size=size, mode="bilinear")[0]
    labels = logits[:, :height, :width].argmax(0)  # [H, W]
    heat = peaks(torch.sigmoid(centre.float()))[0]
    scores, index = heat.flatten().topk(min(MOST_CENTRES, heat.numel()))
    index, scores = index[scores >= LEAST_CENTRE], scores[scores >= LEAST_CENTRE]
    ids = torch.zeros(labels.shape, dtype=torch.int64)
    segments: list[dict[str, Any]] = []
    things = labels < THING_CLASSES
    if len(index) and things.any():
        columns = heat.shape[1]
        points = torch.stack([index % columns, index // columns], 1).float() + 0.5  # [n, 2]
        shifts = functional.interpolate(offset.float()[None], size=size, mode="bilinear")[0]
        rows, cols = things.nonzero(as_tuple=True)
        where = torch.stack([(cols + 0.5) / STRIDE, (rows + 0.5) / STRIDE], 1)
        where = where + shifts[:, rows, cols].T
        owner = torch.cdist(where, points).argmin(1)
        votes = torch.zeros(len(points), THING_CLASSES)
        votes.index_put_((owner, labels[rows, cols]), torch.ones(len(owner)), accumulate=True)
        area, winner = votes.sum(1), votes.argmax(1)
        number = torch.zeros(len(points), dtype=torch.int64)
        for k in range(len(points)):
            if area[k] >= LEAST_SEGMENT_PX:
                segments.append(
                    {"id": len(segments) + 1, "label": int(winner[k]), "score": float(scores[k])}
                )
                number[k] = len(segments)
        ids[rows, cols] = number[owner]
    for label in labels.unique().tolist():
        if label >= THING_CLASSES:
            segments.append({"id": 1000 + label, "label": label, "score": 1.0})
            ids[labels == label] = 1000 + label
    return {
        "semantic": labels.to(torch.uint8).numpy(),
        "ids": ids.to(torch.int32).numpy(),
        "segments": segments,
    }
