"""Panoptic quality as panopticapi defines it, on sets and on resamples of the pictures.

Kirillov, He, Girshick, Rother, Dollár, Panoptic Segmentation, CVPR 2019, section 4. A predicted and
a true segment of one category match where they overlap by more than half; void pixels of the truth
count for neither side; a predicted segment of which more than half lies in void, or in a crowd of
its category, is not counted.

A prediction is ``{"ids": integers [H, W], 0 void, "segments": [{"id", "category_id"}, ...]}``; a
target has ``categories`` (``id``, ``name``, ``isthing``) too, and its segments ``iscrowd``.
Categories are matched by name; those that one side lacks are void.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import DatasetError, PluginError
from workbench_plugins.metrics.segmentation import mean_of_defined, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOID = 0
MATCH_IOU = 0.5
IGNORED_SHARE = 0.5


class PanopticQuality:
    """Segments of a set of pictures against the truth.

    Args:
        predictions, targets: one a picture, in one order; see the module.
        categories: what the predictions' category ids mean: dictionaries with ``id``, ``name``.

    Attributes:
        categories: the target's categories that are judged, C of them.
        counts: float64 [N, C, 4], a picture and category: sum of the matches' overlaps, matches,
            predicted segments without a match, true segments without a match.

    Raises:
        PluginError: a prediction whose map and segments do not belong together or whose size is
            not its target's, or no category in common.
        DatasetError: targets whose categories differ.
    """

    def __init__(
        self,
        predictions: Sequence[Any],
        targets: Sequence[Any],
        categories: Sequence[Mapping[str, Any]],
    ) -> None:
        import numpy as np

        tables = {tuple((c["id"], c["name"]) for c in t["categories"]) for t in targets}
        if len(tables) != 1:
            raise DatasetError(
                f"the pictures have {len(tables)} lists of categories: one is needed"
            )
        known = {category["name"].lower(): category["id"] for category in categories}
        self.categories = [c for c in targets[0]["categories"] if c["name"].lower() in known]
        if not self.categories:
            raise PluginError(
                f"no category in common: the task knows {', '.join(known)}; the dataset has "
                f"{', '.join(c['name'] for c in targets[0]['categories'])}: choose another pair"
            )
        of_truth = {c["id"]: number for number, c in enumerate(self.categories)}
        of_prediction = {
            known[c["name"].lower()]: number for number, c in enumerate(self.categories)
        }
        self.counts = np.stack([
            count_matches(prediction, target, of_prediction, of_truth)
            for prediction, target in zip(predictions, targets, strict=True)
        ])  # fmt: skip

    def scores(self) -> dict[str, float | None]:
        """Return ``pq``, ``sq``, ``rq``, ``pq_things`` and ``pq_stuff``, 0..1.

        Each is the mean over the categories that occur in truth or prediction; None where none
        does. SQ of a category without a match is 0, as in panopticapi.
        """
        import numpy as np

        values = self.resampled(np.ones((1, len(self.counts)), np.int64))
        return {n: None if np.isnan(v[0]) else float(v[0]) for n, v in values.items()}

    def resampled(self, counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return :meth:`scores` on resamples, each [R]; NaN where there is none.

        Args:
            counts: [R, N], how often each picture is in each resample.
        """
        import numpy as np

        sums = np.tensordot(counts.astype(np.float64), self.counts, axes=1)  # [R, C, 4]
        overlap, matches, extra, missed = np.moveaxis(sums, -1, 0)
        weight = matches + extra / 2 + missed / 2
        pq, rq = ratio(overlap, weight), ratio(matches, weight)
        sq = np.where(weight > 0, np.nan_to_num(ratio(overlap, matches)), np.nan)
        things = np.array([bool(c.get("isthing", 1)) for c in self.categories])
        return {
            "pq": mean_of_defined(pq),
            "sq": mean_of_defined(sq),
            "rq": mean_of_defined(rq),
            "pq_things": mean_of_defined(pq[:, things]),
            "pq_stuff": mean_of_defined(pq[:, ~things]),
        }


def count_matches(
    prediction: Mapping[str, Any],
    target: Mapping[str, Any],
    of_prediction: Mapping[int, int],
    of_truth: Mapping[int, int],
) -> NDArray[np.float64]:
    """Return one picture's counts, float64 [C, 4], see :class:`PanopticQuality`.

    Args:
        of_prediction, of_truth: index of a category, by its id.
    """
    import numpy as np

    said, said_areas = _segments(prediction, of_prediction, "predicted")
    true, true_areas = _segments(target, of_truth, "true")
    both = _overlaps(prediction["ids"], target["ids"], said, true)
    out = np.zeros((len(of_truth), 4))
    matched_said, matched_true = set(), set()
    for (t, p), common in both.items():
        if t == VOID or p == VOID or true[t].get("iscrowd") == 1:
            continue
        category = of_truth[true[t]["category_id"]]
        if category != of_prediction[said[p]["category_id"]]:
            continue
        iou = common / (said_areas[p] + true_areas[t] - common - both.get((VOID, p), 0))
        if iou > MATCH_IOU:
            out[category, :2] += iou, 1
            matched_said.add(p)
            matched_true.add(t)
    crowds = {}
    for t, segment in true.items():
        category = of_truth[segment["category_id"]]
        if segment.get("iscrowd") == 1:
            crowds[category] = t
        elif t not in matched_true:
            out[category, 3] += 1
    for p, segment in said.items():
        category = of_prediction[segment["category_id"]]
        ignored = both.get((VOID, p), 0)
        if category in crowds:
            ignored += both.get((crowds[category], p), 0)
        if p not in matched_said and ignored / said_areas[p] <= IGNORED_SHARE:
            out[category, 2] += 1
    return out


def _segments(
    picture: Mapping[str, Any], categories: Mapping[int, int], kind: str
) -> tuple[dict[int, Mapping[str, Any]], dict[int, int]]:
    """Segments of judged categories and their areas, by id, after checking them."""
    import numpy as np

    found, areas = np.unique(picture["ids"], return_counts=True)
    present = dict(zip(found.tolist(), areas.tolist(), strict=True))
    listed = {segment["id"]: segment for segment in picture["segments"]}
    odd = sorted((set(present) - {VOID}) ^ set(listed))
    if odd:
        raise PluginError(
            f"{kind} segments {odd[:5]} are in the map or in the list, but not in both: "
            "every segment must have pixels and an entry"
        )
    judged = {i: segment for i, segment in listed.items() if segment["category_id"] in categories}
    return judged, present


def _overlaps(
    said_ids: NDArray[Any], true_ids: NDArray[Any], said: Mapping[int, Any], true: Mapping[int, Any]
) -> dict[tuple[int, int], int]:
    """Pixels that a true and a predicted segment share, by ids; what is not judged is void."""
    import numpy as np

    if said_ids.shape != true_ids.shape:
        raise PluginError(
            f"a segment map is {list(said_ids.shape)}, its truth {list(true_ids.shape)}: "
            "a task must give one segment a pixel of the picture"
        )
    pairs, areas = np.unique(
        true_ids.astype(np.int64) << 32 | said_ids.astype(np.int64), return_counts=True
    )
    both: dict[tuple[int, int], int] = {}
    for pair, area in zip(pairs.tolist(), areas.tolist(), strict=True):
        t, p = pair >> 32, pair & 0xFFFFFFFF
        key = (t if t in true else VOID, p if p in said else VOID)
        both[key] = both.get(key, 0) + area
    return both
