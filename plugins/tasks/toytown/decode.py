"""From the heads' maps to boxes and to panoptic segments. Sources as in `network`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workbench_plugins.tasks.toytown.network import SIDE_BINS, STRIDE, THING_CLASSES

SIDE_UNIT_PX, LONGEST_SIDE_PX = 4.0, 400.0
SIDE_STEP = math.log1p(LONGEST_SIDE_PX / SIDE_UNIT_PX) / (SIDE_BINS - 1)
"""Bin k of a side stands for 4 px * (exp(k * SIDE_STEP) - 1): 0, 1.4, 3.4, 6.1 ... 400 px, finest
where things are small."""
QUALITY_SHARE = 0.5
"""A box's score is heat^(1 - share) * expected IoU^share."""
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


def side_bins(distances: Tensor) -> Tensor:
    """The place of distances in pixels among the bins, 0..SIDE_BINS - 1, between whole numbers."""
    place = torch.log1p(distances / SIDE_UNIT_PX) / SIDE_STEP
    return place.clamp(0, SIDE_BINS - 1)


def side_distances(logits: Tensor) -> Tensor:
    """Distances in pixels [n, 4] from the bins' logits [n, 4, SIDE_BINS]: of the mean bin."""
    bins = torch.arange(SIDE_BINS, dtype=logits.dtype, device=logits.device)
    place = (torch.softmax(logits, dim=-1) * bins).sum(-1)
    return SIDE_UNIT_PX * torch.expm1(place * SIDE_STEP)


def boxes(heat: Tensor, box: Tensor, width: int, height: int) -> dict[str, Any]:
    """Boxes of one picture, best first, as numpy arrays.

    Args:
        heat: [C, h, w] logits; box: [4 * SIDE_BINS + 1, h, w] logits of the distances to left,
            top, right and bottom, then of the expected intersection over union.
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
    picked = box.float().flatten(1)[:, cell].T  # [n, 4 * SIDE_BINS + 1]
    sides = side_distances(picked[:, :-1].unflatten(1, (4, SIDE_BINS))).T  # [4, n]
    quality = torch.sigmoid(picked[:, -1])
    scores = scores ** (1 - QUALITY_SHARE) * quality**QUALITY_SHARE
    corners = torch.stack(
        [
            (x - sides[0]).clamp(0, width),
            (y - sides[1]).clamp(0, height),
            (x + sides[2]).clamp(0, width),
            (y + sides[3]).clamp(0, height),
        ],
        dim=1,
    )
    order = scores.argsort(descending=True, stable=True)
    corners, scores, labels = corners[order], scores[order], labels[order]
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
