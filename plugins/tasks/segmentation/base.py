"""What semantic and panoptic segmenters share: their metrics, and how they are judged.

A segmenter defines ``predict`` and its table of classes; see the metrics' modules for the form of
predictions and targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import workbench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOID = 255

MIOU = workbench.Metric(
    "miou", "mIoU", "mean intersection over union of the classes", limits=(0, 1), pool="set"
)
PIXEL_ACCURACY = workbench.Metric(
    "pixel_accuracy", "Pixel accuracy", "share of judged pixels that are right", limits=(0, 1),
    pool="set",
)  # fmt: skip
PANOPTIC = tuple(
    workbench.Metric(name, label, description, limits=(0, 1), pool="set")
    for name, label, description in (
        ("pq", "PQ", "panoptic quality, mean over categories"),
        ("sq", "SQ", "segmentation quality: mean overlap of matched segments"),
        ("rq", "RQ", "recognition quality: F1 of matched segments"),
        ("pq_things", "PQ things", "panoptic quality of things"),
        ("pq_stuff", "PQ stuff", "panoptic quality of stuff"),
    )
)


class SemanticTask(workbench.Task):
    """A class for every pixel: ``predict`` gives ``{"map": uint8 [H, W] class indices}``."""

    target = "semantic"
    metrics = (MIOU, PIXEL_ACCURACY)
    classes: ClassVar[Sequence[str]]
    """What the indices mean."""

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        from workbench_plugins.metrics.segmentation import Segmentation

        return Segmentation(predictions, targets, self.classes).scores()

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        from workbench_plugins.metrics.segmentation import Segmentation

        return Segmentation(predictions, targets, self.classes).resampled(counts)

    def as_target(self, prediction: Any) -> Any:
        return {"map": prediction["map"], "classes": list(self.classes), "void": VOID}


class PanopticTask(workbench.Task):
    """A segment for every pixel: ``predict`` gives ``{"ids": int32 [H, W], 0 void, "segments":
    [{"id", "category_id"}, ...]}``.
    """

    target = "panoptic"
    metrics = PANOPTIC
    categories: ClassVar[Sequence[Mapping[str, Any]]]
    """What the category ids mean: ``id``, ``name``, ``isthing``."""

    def evaluate(
        self, predictions: Sequence[Any], targets: Sequence[Any]
    ) -> dict[str, float | None]:
        from workbench_plugins.metrics.panoptic import PanopticQuality

        return PanopticQuality(predictions, targets, self.categories).scores()

    def resample(
        self, predictions: Sequence[Any], targets: Sequence[Any], counts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        from workbench_plugins.metrics.panoptic import PanopticQuality

        return PanopticQuality(predictions, targets, self.categories).resampled(counts)

    def as_target(self, prediction: Any) -> Any:
        segments = [{**segment, "iscrowd": 0} for segment in prediction["segments"]]
        categories = [dict(category) for category in self.categories]
        return {"ids": prediction["ids"], "segments": segments, "categories": categories}
