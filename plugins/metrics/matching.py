"""COCO's greedy matching, kept a detection, and curves on resamples of the images.

The rules are those of pycocotools' ``COCOeval.evaluateImg`` and ``accumulate`` (Lin et al., ECCV
2014); tests hold both together. Arrays have axes A area ranges, T overlap thresholds, D
detections, I images, R resamples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
# Resamples are done in pieces, so that a piece's arrays take some 30 MB each.
PIECE = 4_000_000


@dataclass(frozen=True)
class Category:
    """The detections of one category in all images, highest score first.

    Attributes:
        scores: [D].
        images: [D], position of the image.
        hit: [A, T, D], found an object that counts.
        counted: [A, T, D], is a hit or a false alarm; others are ignored.
        objects: [A, I], how many objects count.
    """

    scores: NDArray[np.float64]
    images: NDArray[np.int64]
    hit: Bools
    counted: Bools
    objects: NDArray[np.int64]


def match(evaluator: Any) -> list[Category]:
    """Match what a COCO evaluator holds after ``evaluate()``: a category an entry."""
    settings = evaluator.params
    truths, found = _by_pair(evaluator.cocoGt), _by_pair(evaluator.cocoDt)
    categories = []
    for category in settings.catIds:
        objects = np.zeros((len(settings.areaRng), len(settings.imgIds)), np.int64)
        parts = []
        for position, image in enumerate(settings.imgIds):
            truth, results = truths[image, category], found[image, category]
            if not truth and not results:
                continue
            ignored = np.array([_ignored(truth, area) for area in settings.areaRng])
            objects[:, position] = (~ignored).sum(1)
            results = sorted(results, key=lambda r: -r["score"])[: settings.maxDets[-1]]
            overlaps = evaluator.ious[image, category] if truth and results else []
            crowd = np.array([bool(a.get("iscrowd", 0)) for a in truth], bool)
            hit, counted = _assign(
                np.reshape(overlaps, (len(results), len(truth))), crowd, ignored, settings.iouThrs
            )
            outside = np.array([_outside(results, area) for area in settings.areaRng])
            counted &= hit | ~outside[:, None]
            scores = np.array([r["score"] for r in results], np.float64)
            parts.append((scores, np.full(len(results), position), hit, counted))
        if parts:
            columns = [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]
            order = np.argsort(-columns[0], kind="stable")
            categories.append(Category(*(c[..., order] for c in columns), objects))
    return categories


def _by_pair(coco: Any) -> dict[tuple[int, int], list[dict[str, Any]]]:
    pairs = defaultdict(list)
    for annotation in coco.dataset["annotations"]:
        pairs[annotation["image_id"], annotation["category_id"]].append(annotation)
    return pairs


def _outside(annotations: Sequence[dict[str, Any]], area: Sequence[float]) -> Bools:
    return np.array([not area[0] <= a["area"] <= area[1] for a in annotations], bool)


def _ignored(truth: Sequence[dict[str, Any]], area: Sequence[float]) -> Bools:
    crowd = [bool(a.get("iscrowd", 0)) for a in truth]
    return np.array(crowd, bool) | _outside(truth, area)


def _assign(
    overlaps: NDArray[np.float64], crowd: Bools, ignored: Bools, thresholds: NDArray[np.float64]
) -> tuple[Bools, Bools]:
    """Give each detection, best first, the object it overlaps most; return hit and counted.

    Args:
        overlaps: [D, G] for G objects.
        crowd: [G]; a crowd region may be found any number of times.
        ignored: [A, G]; an ignored object is only taken where no other can be.
    """
    n_areas, n_objects = ignored.shape
    shape = (n_areas, len(thresholds), len(overlaps))
    hit, counted = np.zeros(shape, bool), np.ones(shape, bool)
    if not overlaps.size:
        return hit, counted
    free = np.ones((n_areas, len(thresholds), n_objects), bool)
    ignorable = ignored[:, None]
    area, level = np.indices(shape[:2])
    for d in np.flatnonzero(overlaps.max(1) >= thresholds[0]):
        possible = (free | crowd) & (overlaps[d] >= thresholds[:, None])
        proper = possible & ~ignorable
        choice = np.where(proper.any(-1, keepdims=True), proper, possible)
        # Of equal overlaps the last one wins.
        values = np.where(choice, overlaps[d], -1.0)[..., ::-1]
        best = n_objects - 1 - values.argmax(-1)
        taken = choice.any(-1)
        spare = ignored[area, best]
        hit[..., d] = taken & ~spare
        counted[..., d] = ~(taken & spare)
        free[area[taken], level[taken], best[taken]] = False
    return hit, counted


def average_precision(
    categories: Sequence[Category], counts: NDArray[np.int64], recalls: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean over categories of the average precision, [R, A, T]; NaN where none counts.

    Args:
        counts: [R, I], how often an image is in a resample.
        recalls: recall levels whose precisions are averaged, ascending from 0.
    """
    n_areas, n_thresholds = categories[0].hit.shape[:2] if categories else (4, 10)
    total = np.zeros((len(counts), n_areas, n_thresholds))
    present = np.zeros((len(counts), n_areas, 1))
    for category in categories:
        size = max(1, PIECE // max(1, len(category.scores)))
        for start in range(0, len(counts), size):
            piece = slice(start, start + size)
            objects = counts[piece] @ category.objects.T
            present[piece] += (objects > 0)[..., None]
            total[piece] += _precision_of(category, counts[piece], objects, recalls)
    with np.errstate(invalid="ignore"):
        return total / present


def _precision_of(
    category: Category,
    counts: NDArray[np.int64],
    objects: NDArray[np.int64],
    recalls: NDArray[np.float64],
) -> NDArray[np.float64]:
    """One category's average precision, [R, A, T]; 0 where it has no object."""
    weights = counts[:, category.images]
    values = np.zeros((len(counts), *category.hit.shape[:2]))
    for area, level in np.ndindex(values.shape[1:]):
        at = np.flatnonzero(category.hit[area, level])
        if not len(at):
            continue
        # Recall rises at hits only, so the curve is needed nowhere else.
        hits = np.cumsum(weights[:, at], axis=1)
        seen = np.cumsum(weights * category.counted[area, level], axis=1)[:, at]
        precision = hits / (seen + np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.maximum(objects[:, area, None], 1)
        reached = np.searchsorted(recalls, recall, side="right")
        new = np.diff(reached, axis=1, prepend=0)
        values[:, area, level] = (envelope * new).sum(1) / len(recalls)
    return values


def f1(
    categories: Sequence[Category], counts: NDArray[np.int64], level: int, score: float
) -> NDArray[np.float64]:
    """Return 2·hits / (detections + objects) over all categories and sizes, [R].

    ``level`` is the index of the overlap threshold; detections below ``score`` are left out,
    which changes no other match, as matching goes from the highest score down.
    """
    hits, seen, objects = (np.zeros(len(counts)) for _ in range(3))
    for category in categories:
        sure = category.scores >= score
        weights = counts[:, category.images]
        hits += weights @ (category.hit[0, level] & sure)
        seen += weights @ (category.counted[0, level] & sure)
        objects += counts @ category.objects[0]
    with np.errstate(invalid="ignore"):
        return 2 * hits / (seen + objects)
