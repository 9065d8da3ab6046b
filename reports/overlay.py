"""Predictions on a decoded picture against those on its original: kept, lost, invented.

Predictions are the plain data that tasks store. Four forms are known, by their keys:

- ``boxes`` [N, 4] (x0, y0, x1, y1), ``scores``, ``labels``, maybe ``masks``: a detector's;
- ``faces`` [N, 4] (x, y, width, height);
- ``map`` [H, W], or ``ids`` [H, W] with ``segments``: a segmenter's;
- ``labels`` and ``scores`` without boxes: a classifier's, the best first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Numbers = NDArray[np.float64]

SCORE = 0.5
"""Detections below it are not drawn: where tasks are their own reference, it counts as found."""
IOU = 0.5
"""Boxes that overlap as much, of one label, are the same thing: COCO's loosest threshold."""


def things(prediction: Any) -> tuple[Numbers, Numbers, list[Any]] | None:
    """Return boxes [N, 4] (corners), scores [N] and labels of what was found, if it has boxes."""
    if not isinstance(prediction, Mapping):
        return None
    if "boxes" in prediction:
        boxes = np.asarray(prediction["boxes"], dtype=float).reshape(-1, 4)
        scores = np.asarray(prediction.get("scores", np.ones(len(boxes))), dtype=float)
        labels = np.asarray(prediction.get("labels", np.zeros(len(boxes)))).tolist()
        sure = scores >= SCORE
        return boxes[sure], scores[sure], [x for x, s in zip(labels, sure, strict=True) if s]
    if "faces" in prediction:
        faces = np.asarray(prediction["faces"], dtype=float).reshape(-1, 4)
        boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:]], axis=1)
        return boxes, np.ones(len(boxes)), ["face"] * len(boxes)
    return None


def classes(prediction: Any) -> NDArray[Any] | None:
    """Return the class of each pixel [H, W], if it is a segmenter's prediction; -1 is void."""
    if not isinstance(prediction, Mapping):
        return None
    if "map" in prediction:
        return np.asarray(prediction["map"])
    if "ids" in prediction:
        ids = np.asarray(prediction["ids"])
        table = {s["id"]: s["category_id"] for s in prediction.get("segments", ())}
        values, where = np.unique(ids, return_inverse=True)
        named = np.array([table.get(v, -1) for v in values.tolist()])
        return named[where].reshape(ids.shape)
    return None


def best_label(prediction: Any) -> Any:
    """Return a classifier's first label, None for any other prediction."""
    if isinstance(prediction, Mapping) and "labels" in prediction and "boxes" not in prediction:
        labels = np.asarray(prediction["labels"]).tolist()
        return labels[0] if labels else None
    return None


def match(
    before: tuple[Numbers, Numbers, list[Any]], after: tuple[Numbers, Numbers, list[Any]]
) -> NDArray[np.int64]:
    """Return, for each thing found after decoding, the one before that it is, or -1.  [M]

    Pairs are taken from the largest overlap down, each thing once, as long as the label is the
    same and the overlap is at least :data:`IOU`.
    """
    shared = overlaps(before[0], after[0])
    same = np.array([[a == b for b in after[2]] for a in before[2]], dtype=bool)
    shared = np.where(same.reshape(shared.shape), shared, 0.0)
    found = np.full(shared.shape[1], -1, dtype=np.int64)
    while shared.size and shared.max() >= IOU:
        i, j = np.unravel_index(int(shared.argmax()), shared.shape)
        found[j] = i
        shared[i, :] = 0.0
        shared[:, j] = 0.0
    return found


def overlaps(a: Numbers, b: Numbers) -> Numbers:
    """Return intersection over union of boxes given by corners: [N, 4], [M, 4] -> [N, M]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    sizes = [(x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b)]
    union: Numbers = sizes[0][:, None] + sizes[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def disagreement(original: Any, decoded: Any) -> float | None:
    """Return how much two predictions differ, 0 (the same) to 1 (nothing in common).

    Of things: the share of all that is not kept. Of pixels: the share with another class. Of
    labels: 1 where the first one differs. None for predictions of another form.
    """
    before, after = things(original), things(decoded)
    if before is not None and after is not None:
        kept = int((match(before, after) >= 0).sum())
        total = len(before[0]) + len(after[0]) - kept
        return 1 - kept / total if total else 0.0
    maps = classes(original), classes(decoded)
    if maps[0] is not None and maps[1] is not None and maps[0].shape == maps[1].shape:
        return float((maps[0] != maps[1]).mean())
    if (first := best_label(original)) is not None:
        return float(first != best_label(decoded))
    return None


def drawn(original: Any, decoded: Any, names: Mapping[Any, str]) -> Json | None:
    """Return what the page draws: boxes with their state, or labels.

    ``original`` None leaves the state of what was found open. Boxes are
    ``[x0, y0, x1, y1, score, label, state]``.
    """
    after = things(decoded)
    if after is not None:
        before = things(original)
        states: list[str] = ["found"] * len(after[0])
        boxes: list[list[Any]] = []
        if before is not None:
            same = match(before, after)
            states = ["kept" if i >= 0 else "invented" for i in same]
            lost = sorted(set(range(len(before[0]))) - set(same.tolist()))
            boxes += [_box(before, i, "lost", names) for i in lost]
        boxes += [_box(after, i, state, names) for i, state in enumerate(states)]
        return {"boxes": boxes}
    if (label := best_label(decoded)) is not None:
        first = best_label(original)
        state = "found" if first is None else "kept" if first == label else "invented"
        made: Json = {"label": [names.get(label, str(label)), state]}
        if state == "invented":
            made["lost"] = names.get(first, str(first))
        return made
    return None


def _box(
    found: tuple[Numbers, Numbers, list[Any]], i: int, state: str, names: Mapping[Any, str]
) -> list[Any]:
    label = found[2][i]
    corners = [round(float(v), 1) for v in found[0][i]]
    return [*corners, round(float(found[1][i]), 3), names.get(label, str(label)), state]


def mask_pictures(original: Any, decoded: Any) -> dict[str, NDArray[np.uint8]]:
    """Return RGBA pictures [H, W, 4] of the masks of things by state; none without masks."""
    layers: dict[str, list[Any]] = {}
    after = _sure_masks(decoded)
    if after is None:
        return {}
    before = _sure_masks(original)
    if before is None:
        layers["found"] = after
    else:
        known, seen = things(original), things(decoded)
        assert known is not None
        assert seen is not None
        same = match(known, seen)
        for mask, i in zip(after, same, strict=True):
            layers.setdefault("kept" if i >= 0 else "invented", []).append(mask)
        layers["lost"] = [m for i, m in enumerate(before) if i not in same]
    return {state: _filled(masks, COLOURS[state]) for state, masks in layers.items() if masks}


def _sure_masks(prediction: Any) -> list[Any] | None:
    """Run-length codes, as COCO has them, of the masks of what :func:`things` returns."""
    if not isinstance(prediction, Mapping) or not prediction.get("masks"):
        return None
    sure = np.asarray(prediction["scores"], dtype=float) >= SCORE
    return [mask for mask, s in zip(prediction["masks"], sure, strict=True) if s]


def _filled(masks: list[Any], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    from faster_coco_eval import mask as coco

    codes = [{**m, "counts": str(m["counts"]).encode()} for m in masks]
    inside = np.asarray(coco.decode(codes)).any(axis=2)
    picture = np.zeros((*inside.shape, 4), np.uint8)
    picture[inside] = (*colour, 110)
    return picture


def changed_pixels(original: Any, decoded: Any) -> NDArray[np.uint8] | None:
    """Return an RGBA picture [H, W, 4] of the pixels whose class changed, None without classes."""
    before, after = classes(original), classes(decoded)
    if before is None or after is None or before.shape != after.shape:
        return None
    picture = np.zeros((*after.shape, 4), np.uint8)
    picture[before != after] = CHANGED
    return picture


def class_picture(prediction: Any) -> NDArray[np.uint8] | None:
    """Return an RGBA picture [H, W, 4] of a segmenter's classes, each with a colour of its own."""
    found = classes(prediction)
    if found is None:
        return None
    picture = np.zeros((*found.shape, 4), np.uint8)
    for value in np.unique(found).tolist():
        if value >= 0 and value != VOID:
            picture[found == value] = (*PALETTE[int(value) % len(PALETTE)], 150)
    return picture


VOID = 255
CHANGED = (213, 94, 0, 190)
COLOURS = {
    "kept": (1, 115, 178), "lost": (213, 94, 0), "invented": (176, 72, 159), "found": (217, 164, 0),
}  # fmt: skip
"""As the page draws boxes of these states."""
# Golden-angle steps around the colour wheel: neighbours in number are far apart in colour.
_WHEEL = 0.381966 * np.arange(64)[:, None] + np.arange(3) / 3
PALETTE = np.rint(255 * (0.55 + 0.4 * np.cos(2 * np.pi * _WHEEL))).astype(np.uint8).tolist()
