"""COCO average precision of boxes and masks, F1 at a score, and both on resamples of the images.

Values on a whole set come from faster-coco-eval. Resamples reuse its overlaps: detections are
matched once, see :mod:`workbench_plugins.metrics.matching`, and only the precision-recall curves
are made anew.

A prediction is ``{"boxes": [N, 4] x0, y0, x1, y1 in pixels, "scores": [N], "labels": [N] category
ids}``, with ``"masks": N run-length encodings`` where there are masks. A target is the COCO entry
of an image: ``{"image": {...}, "annotations": [...], "categories": [...]}``; masks need the
image's ``width`` and ``height``, ``area`` and ``iscrowd`` of an annotation may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import DatasetError, PluginError
from workbench_plugins.metrics import matching

if TYPE_CHECKING:
    import numpy as np
    from faster_coco_eval import COCO, COCOeval_faster
    from numpy.typing import NDArray

Kind = Literal["bbox", "segm"]
# The order of the evaluator's area ranges.
AREAS = ("all", "small", "medium", "large")
AP_NAMES = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
F1_IOU = 0.5


class CocoEvaluation:
    """Predictions of a set of images against its ground truth, as COCO does it.

    Crowd regions are neither to be found nor counted against a detection, categories of a
    detector that the dataset does not list are left out, and at most 100 detections count an
    image and category.

    Args:
        predictions: one an image.
        targets: one an image, in the same order; an image may come more than once.
        kind: overlaps of ``bbox`` or ``segm``.

    Raises:
        PluginError: a prediction that is not as described above.
        DatasetError: masks are asked for and an annotation has none.
    """

    def __init__(
        self, predictions: Sequence[Any], targets: Sequence[Any], kind: Kind = "bbox"
    ) -> None:
        from faster_coco_eval import COCO, COCOeval_faster

        self.n_images = len(targets)
        # The evaluator's image ids are our positions from 1: an image may come twice.
        truth: COCO = COCO(_truth(targets, kind))
        found = truth.loadRes(
            [
                {**detection, "image_id": image}
                for image, prediction in enumerate(predictions, start=1)
                for detection in _detections(prediction, kind)
            ]
        )
        self._evaluator: COCOeval_faster = COCOeval_faster(truth, found, kind, separate_eval=True)
        self._evaluator.params.maxDets = [100]
        self._evaluator.evaluate()

    def average_precision(self) -> dict[str, float | None]:
        """Return :data:`AP_NAMES`, 0..1; None where no object is of the size in question."""
        self._evaluator.accumulate()
        self._evaluator.summarize()
        values = self._evaluator.stats[: len(AP_NAMES)]
        return {n: float(v) if v >= 0 else None for n, v in zip(AP_NAMES, values, strict=True)}

    def f1(self, score: float) -> float | None:
        """Return F1 at an IoU of 0.5 of detections of at least ``score``, over all categories."""
        import numpy as np

        value = self.resampled_f1(np.ones((1, self.n_images), np.int64), score)[0]
        return None if np.isnan(value) else float(value)

    def resampled_average_precision(
        self, counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return :data:`AP_NAMES` on resamples, each [R]; NaN where there is none.

        Args:
            counts: [R, n_images], how often each image is in each resample.
        """
        thresholds = self._evaluator.params.iouThrs
        ap = matching.average_precision(self._matches, counts, self._evaluator.params.recThrs)
        index = {round(float(iou), 2): t for t, iou in enumerate(thresholds)}
        values = [ap[:, 0].mean(1), ap[:, 0, index[0.5]], ap[:, 0, index[0.75]]]
        values += [ap[:, area].mean(1) for area in range(1, len(AREAS))]
        return dict(zip(AP_NAMES, values, strict=True))

    def resampled_f1(self, counts: NDArray[np.int64], score: float) -> NDArray[np.float64]:
        """Return :meth:`f1` on resamples, [R]; NaN where there is nothing to find or found."""
        threshold = [round(float(iou), 2) for iou in self._evaluator.params.iouThrs].index(F1_IOU)
        return matching.f1(self._matches, counts, threshold, score)

    @cached_property
    def _matches(self) -> list[matching.Category]:
        return matching.match(self._evaluator)


def has_masks(targets: Sequence[Any]) -> bool:
    """Whether every annotation has the outline of its object."""
    return all(a.get("segmentation") for target in targets for a in target["annotations"])


def _truth(targets: Sequence[Any], kind: Kind) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, target in enumerate(targets, start=1):
        for annotation in target["annotations"]:
            if kind == "segm" and not annotation.get("segmentation"):
                raise DatasetError(
                    f"annotation {annotation.get('id')} has no segmentation: "
                    "masks cannot be scored on this dataset"
                )
            width, height = annotation["bbox"][2:]
            annotations.append(
                {
                    "area": width * height,
                    "iscrowd": 0,
                    **annotation,
                    "image_id": image,
                    # Ids count from 1: the evaluator takes 0 for no match.
                    "id": len(annotations) + 1,
                }
            )
    categories = {c["id"]: c for target in targets for c in target["categories"]}
    images = [
        {"id": i, **_size(target.get("image", {}))} for i, target in enumerate(targets, start=1)
    ]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [categories[key] for key in sorted(categories)],
    }


def _size(image: Mapping[str, Any]) -> dict[str, Any]:
    return {key: image[key] for key in ("width", "height") if key in image}


def _detections(prediction: Any, kind: Kind) -> list[dict[str, Any]]:
    """A prediction as the evaluator's results.

    Those for masks carry no box: the evaluator would take their area from it.
    """
    import numpy as np

    boxes = np.asarray(prediction["boxes"], dtype=np.float64).reshape(-1, 4)
    scores = np.asarray(prediction["scores"], dtype=np.float64)
    labels = np.asarray(prediction["labels"], dtype=np.int64)
    if not len(boxes) == len(scores) == len(labels):
        raise PluginError(
            f"a prediction has {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise PluginError("a prediction has a box or a score that is no finite number")
    common = [
        {"category_id": int(label), "score": float(score)}
        for label, score in zip(labels, scores, strict=True)
    ]
    if kind == "segm":
        return [
            {**entry, "segmentation": mask}
            for entry, mask in zip(common, prediction["masks"], strict=True)
        ]
    sizes = boxes[:, 2:] - boxes[:, :2]
    return [
        {**entry, "bbox": [*corner.tolist(), *size.tolist()]}
        for entry, corner, size in zip(common, boxes[:, :2], sizes, strict=True)
    ]
